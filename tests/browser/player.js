// Plays ?url=… and keeps count of what a viewer would notice. A classic script: the libraries are.
"use strict";

const video = document.getElementById("video");
const url = new URLSearchParams(location.search).get("url");

let playing = false;
let stalls = 0;
let part = 0;
let pause = 0;
const errors = [];
const fatal = [];

// Seconds of media that are here and not shown yet.
function ahead() {
  const { buffered, currentTime } = video;
  return buffered.length ? buffered.end(buffered.length - 1) - currentTime : 0;
}

// What comes before the first picture is no stall. Nor is it one if a busy machine decodes late what
// is here: that is a pause.
video.addEventListener("playing", () => (playing = true));
video.addEventListener("waiting", () => (stalls += playing && ahead() < 0.5 ? 1 : 0));
video.addEventListener("error", () => fatal.push(`media: ${video.error.message}`));

// The longest time without progress. A page that is late itself only sees more progress.
let last = { time: 0, at: 0 };
setInterval(() => {
  const now = performance.now();
  if (!playing || video.currentTime !== last.time) {
    last = { time: video.currentTime, at: now };
  }
  pause = Math.max(pause, now - last.at);
}, 50);

function playHls() {
  const hls = new Hls();
  hls.on(Hls.Events.ERROR, (_, data) => {
    (data.fatal ? fatal : errors).push(`${data.type}/${data.details}`);
  });
  // Counts the discontinuities up to what is on the screen.
  hls.on(Hls.Events.FRAG_CHANGED, (_, data) => (part = data.frag.cc));
  hls.loadSource(url);
  hls.attachMedia(video);
}

function playFlv() {
  const player = mpegts.createPlayer({ type: "flv", isLive: true, url });
  player.on(mpegts.Events.ERROR, (type, detail) => fatal.push(`${type}/${detail}`));
  player.on(mpegts.Events.LOADING_COMPLETE, () => fatal.push("the stream ended"));
  player.attachMediaElement(video);
  player.load();
}

// Called by play.js.
function report() {
  const quality = video.getVideoPlaybackQuality();
  return {
    time: video.currentTime,
    stalls,
    pause: pause / 1000,
    part,
    decoded: quality.totalVideoFrames,
    dropped: quality.droppedVideoFrames,
    errors: errors.join(" "),
    fatal: fatal.join(" "),
  };
}

url.endsWith(".m3u8") ? playHls() : playFlv();
