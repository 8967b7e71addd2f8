// Makes the page live: fetches it again and again, draws what the figures were, and plays. Without
// this script the page is whole, but stands still. It builds no markup from text.

const EVERY = 2000; // Milliseconds from one look to the next.
const KEPT = 150; // Looks in a line: five minutes.
const LEAST = 15; // A line is drawn as if there had been so many: a new one is a short one.
const SVG = "http://www.w3.org/2000/svg";

const past = new WeakMap(); // Figures of a `.spark`, oldest first.

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Makes `old` what `fresh` is, and keeps whatever need not change: focus, selection, what is open.
// What has an id is the same if that is.
function patch(old, fresh) {
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (!old.matches(".spark")) patchChildren(old, fresh);
}

function patchChildren(old, fresh) {
  const wanted = new Set([...fresh.children].map((child) => child.id));
  const known = new Map();
  for (const child of [...old.children].filter((child) => child.id)) {
    if (wanted.has(child.id)) known.set(child.id, child);
    else child.remove();
  }
  let at = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = child.id ? known.get(child.id) : at?.id ? null : at;
    if (!same) {
      old.insertBefore(child, at);
      continue;
    }
    if (same === at) at = at.nextSibling;
    else old.insertBefore(same, at);
    patch(same, child);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function draw(spark) {
  const values = past.get(spark) ?? [];
  values.push(Number(spark.dataset.value));
  past.set(spark, values.slice(-KEPT));
  const most = Math.max(...values, 1);
  const step = 100 / (Math.max(values.length, LEAST) - 1);
  const points = values.map((value, at) => `${(at * step).toFixed(1)},${(19 - (18 * value) / most).toFixed(1)}`);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.join(" "));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 20");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `of the last minutes: now ${values.at(-1)}, at most ${most}`);
  svg.append(line);
  spark.replaceChildren(svg);
}

function drawAll() {
  document.querySelectorAll(".spark").forEach(draw);
}

const state = document.getElementById("state");
let answered = Date.now();

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    patch(document.querySelector("main"), page.querySelector("main"));
    drawAll();
    answered = Date.now();
    state.textContent = "";
  } catch {
    const seconds = Math.round((Date.now() - answered) / 1000);
    state.textContent = `No answer for ${seconds} s. These figures are old; trying again.`;
  }
}

async function lookOn() {
  await look();
  setTimeout(lookOn, EVERY);
}

// Players. Each gets the video element, the URL, and a way to say something; it returns how to stop.

const loaded = new Map();

// A library that calls itself so, when it is needed first.
function load(name) {
  if (!loaded.has(name)) {
    const script = element("script", { src: document.body.dataset[name.toLowerCase()] });
    loaded.set(
      name,
      new Promise((resolve, reject) => {
        script.onload = () => resolve(window[name]);
        script.onerror = () => {
          loaded.delete(name);
          reject(new Error("The player cannot be loaded."));
        };
      }),
    );
    document.head.append(script);
  }
  return loaded.get(name);
}

const OVER = "The stream cannot be had any more.";

async function playHls(video, url, say) {
  const Hls = await load("Hls");
  if (!Hls.isSupported()) throw new Error("This browser can play neither HLS nor what would replace it.");
  // Its worker would come from a blob, which this page's policy does not allow.
  const hls = new Hls({ enableWorker: false });
  let mended = false;
  hls.on(Hls.Events.ERROR, (_, { fatal, type }) => {
    if (!fatal) return;
    if (type === Hls.ErrorTypes.MEDIA_ERROR && !mended) {
      mended = true;
      hls.recoverMediaError();
      return;
    }
    say(type === Hls.ErrorTypes.NETWORK_ERROR ? OVER : "This browser cannot decode the stream.");
    hls.stopLoad();
  });
  hls.loadSource(url);
  hls.attachMedia(video);
  return () => hls.destroy();
}

// The browser's own; if it says that it can, but cannot, the library.
async function playNative(video, url, say) {
  let stop = () => {};
  let stopped = false;
  video.onerror = async () => {
    video.onerror = null;
    try {
      stop = await playHls(video, url, say);
      if (stopped) stop();
    } catch {
      say("This browser cannot play the stream.");
    }
  };
  video.src = url;
  return () => {
    stopped = true;
    video.onerror = null;
    stop();
  };
}

async function playFlv(video, url, say) {
  const mpegts = await load("mpegts");
  if (!mpegts.getFeatureList().mseLivePlayback) throw new Error("This browser cannot play HTTP-FLV; try HLS.");
  mpegts.LoggingControl.enableAll = false;
  // What is live is not collected first.
  const how = { lazyLoad: false, autoCleanupSourceBuffer: true, enableStashBuffer: false };
  const player = mpegts.createPlayer({ type: "flv", isLive: true, url }, how);
  player.on(mpegts.Events.ERROR, (type) =>
    say(type === mpegts.ErrorTypes.NETWORK_ERROR ? OVER : "This browser cannot decode the stream."),
  );
  player.on(mpegts.Events.LOADING_COMPLETE, () => say("The stream is over."));
  player.attachMediaElement(video);
  player.load();
  // Some browsers would start by themselves only when they have seconds of it.
  video.oncanplay = () => video.play().catch(() => {});
  return () => player.destroy();
}

function play(link) {
  const video = element("video", { controls: true, muted: true, autoplay: true, playsInline: true });
  const said = element("p", { role: "status", textContent: "Loading …" });
  const say = (text) => (said.textContent = text);
  const close = element("button", { type: "button", textContent: "Close" });
  const title = element("h2", { id: "player-title", textContent: link.getAttribute("aria-label") });
  const dialog = element("dialog", { id: "player" }, title, video, said, close);
  dialog.setAttribute("aria-labelledby", title.id);
  video.onplaying = () => say("");
  // A key in the page's own address opens the streams that it is about, too.
  const url = new URL(link.href);
  new URLSearchParams(location.search).forEach((value, key) => url.searchParams.append(key, value));
  const native = video.canPlayType("application/vnd.apple.mpegurl") !== "";
  const begin = link.dataset.play === "flv" ? playFlv : native ? playNative : playHls;
  const begun = begin(video, url.href, say).catch((error) => say(error.message));
  close.onclick = () => dialog.close();
  dialog.onclose = async () => {
    dialog.remove();
    link.focus();
    (await begun)?.();
    video.removeAttribute("src");
    video.load();
  };
  document.body.append(dialog);
  dialog.showModal();
}

async function kick(button) {
  button.disabled = true;
  const answer = await fetch(button.dataset.kick, { method: "DELETE" }).catch(() => ({ ok: false }));
  button.disabled = false;
  await look();
  if (!answer.ok) state.textContent = "This client could not be ended.";
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-play]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    play(link);
  }
  const button = event.target.closest("button[data-kick]");
  if (button) kick(button);
});

document.documentElement.classList.add("live");
drawAll();
setTimeout(lookOn, EVERY);
