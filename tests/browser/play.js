// node play.js PAGE SECONDS: opens PAGE (player.html?url=…) in Debian's Chromium and prints its
// report twice a second, a line of "key=value" between tabs, until standard input closes, or for
// SECONDS at most.
import { start } from "./chromium.js";

const [page_url, seconds] = process.argv.slice(2);

const browser = await start({ args: ["--autoplay-policy=no-user-gesture-required"] });
const page = browser.pages()[0] ?? (await browser.newPage());
page.on("pageerror", (error) => console.error(error));
page.on("console", (message) => console.error(message.text()));
await page.goto(page_url);

let stop;
const stopped = new Promise((resolve) => (stop = resolve));
process.stdin.resume().on("end", stop);
setTimeout(stop, seconds * 1000);
const timer = setInterval(async () => {
  const report = await page.evaluate("report()").catch((error) => ({ fatal: error }));
  const fields = Object.entries(report).map(([key, value]) => `${key}=${value}`);
  console.log(fields.join("\t"));
}, 500);
await stopped;
clearInterval(timer);
await browser.close();
process.exit();
