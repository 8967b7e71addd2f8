// node page.js TASK: opens URL in Debian's Chromium or Firefox, does TASK (JSON), and prints what it saw as
// lines of "key=value" between tabs. Whatever the page throws, and whatever its policy forbids, fails it;
// in Chromium also what it writes to its console as an error.
//
// TASK: { url, browser, play: { link, seconds } }, and in Chromium alone
// { width, height, dark, scripts, native, wait, open, seconds, shot, kick }
import { setTimeout as pause } from "node:timers/promises";

const task = JSON.parse(process.argv[2]);

setTimeout(() => fail("too slow"), ((task.seconds ?? 0) + (task.play?.seconds ?? 0)) * 1000 + 60_000);
const { open } = await import(`./${task.browser ?? "chromium"}.js`);
const { page, close } = await open(task, fail);

// Ends the browser, too.
function fail(why) {
  console.error(why);
  process.exit(1);
}

const say = (fields) => console.log(Object.entries(fields).map(([key, value]) => `${key}=${value}`).join("\t"));
await page.goto(task.url);
if (task.wait) await page.waitForSelector(task.wait);
for (const summary of task.open ? await page.locator("summary").all() : []) await summary.click();
if (task.seconds) await pause(task.seconds * 1000);

// Without its own scripts a page can still be asked.
async function table() {
  const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
  say({ overflow: await page.evaluate(overflow) });
  const rows = `[...document.querySelectorAll("section > table > tbody > tr")].map((row) =>
    [...row.children].map((cell) => cell.innerText.replace(/\\s+/g, " ").trim()).join("|"))`;
  for (const row of await page.evaluate(rows)) say({ row });
}

async function play({ link, seconds }) {
  await page.click(`a[href="${link}"]`);
  const measure = `(() => {
    const video = document.querySelector("dialog video");
    const { totalVideoFrames } = video.getVideoPlaybackQuality();
    return { time: video.currentTime, frames: totalVideoFrames, said: document.querySelector("dialog p").textContent };
  })()`;
  // The page's policy forbids what waitForFunction would do.
  let first;
  do {
    await pause(100);
    first = await page.evaluate(measure);
  } while (first.frames === 0 || first.time === 0);
  await pause(seconds * 1000);
  const last = await page.evaluate(measure);
  if (task.shot) await page.screenshot({ path: task.shot });
  await page.keyboard.press("Escape");
  while (await page.evaluate("document.querySelector('dialog') !== null")) await pause(20);
  const focus = await page.evaluate("document.activeElement.getAttribute('href')");
  say({ time: last.time - first.time, frames: last.frames - first.frames, said: last.said, focus });
}

// Ends the client whose button is called so.
async function kick(name) {
  const button = page.getByRole("button", { name });
  await button.click();
  await button.waitFor({ state: "detached" });
  say({ kicked: name });
}

await table();
if (task.kick) await kick(task.kick);
if (task.play) await play(task.play);
else if (task.shot) await page.screenshot({ path: task.shot, fullPage: true });
const loaded = "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname).join(' ')";
say({ loaded: await page.evaluate(loaded) });
await close();
process.exit();
