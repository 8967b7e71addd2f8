// node page.js TASK: opens URL in Debian's Chromium, does TASK (JSON), and prints what it saw as lines
// of "key=value" between tabs. Whatever the page writes to its console as an error, and whatever its
// policy forbids, fails it.
//
// TASK: { url, width, height, dark, scripts, native, wait, open, seconds, shot, play: { link, seconds }, kick }
import { start } from "./chromium.js";

const task = JSON.parse(process.argv[2]);

const browser = await start({
  javaScriptEnabled: task.scripts ?? true,
  viewport: { width: task.width ?? 1280, height: task.height ?? 800 },
  colorScheme: task.dark ? "dark" : "light",
});
setTimeout(() => fail("too slow"), ((task.seconds ?? 0) + (task.play?.seconds ?? 0)) * 1000 + 60_000);

async function fail(why) {
  console.error(why);
  await browser.close();
  process.exit(1);
}

const say = (fields) => console.log(Object.entries(fields).map(([key, value]) => `${key}=${value}`).join("\t"));
const page = browser.pages()[0] ?? (await browser.newPage());
const loaded = [];
page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
page.on("pageerror", (error) => fail(`thrown: ${error}`));
page.on("console", (message) => message.type() === "error" && fail(`console: ${message.text()}`));
if (task.native === false) {
  // As in Firefox.
  await page.addInitScript(() => (HTMLMediaElement.prototype.canPlayType = () => ""));
}
await page.goto(task.url);
if (task.wait) await page.waitForSelector(task.wait);
for (const summary of task.open ? await page.locator("summary").all() : []) await summary.click();
if (task.seconds) await page.waitForTimeout(task.seconds * 1000);

async function table() {
  const overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
  // Without its own scripts a page can still be asked.
  say({ overflow: await page.evaluate(overflow) });
  for (const row of await page.locator("section > table > tbody > tr").all()) {
    const cells = await row.locator(":scope > th, :scope > td").allInnerTexts();
    say({ row: cells.map((text) => text.replace(/\s+/g, " ").trim()).join("|") });
  }
}

async function play({ link, seconds }) {
  const locator = page.locator(`a[href="${link}"]`);
  await locator.click();
  const measure = `(() => {
    const video = document.querySelector("dialog video");
    const { totalVideoFrames } = video.getVideoPlaybackQuality();
    return { time: video.currentTime, frames: totalVideoFrames, said: document.querySelector("dialog p").textContent };
  })()`;
  // The page's policy forbids what waitForFunction would do.
  let first;
  do {
    await page.waitForTimeout(100);
    first = await page.evaluate(measure);
  } while (first.frames === 0 || first.time === 0);
  await page.waitForTimeout(seconds * 1000);
  const last = await page.evaluate(measure);
  if (task.shot) await page.screenshot({ path: task.shot });
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog", { state: "detached" });
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
say({ loaded: loaded.join(" ") });
await browser.close();
process.exit();
