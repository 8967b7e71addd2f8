// Starts Debian's Chromium, which keeps nothing but what is in the working directory, and asks nobody else.
import { chromium } from "playwright-core";

export function start({ args = [], ...options } = {}) {
  return chromium.launchPersistentContext("profile", {
    executablePath: "/usr/bin/chromium",
    headless: true,
    chromiumSandbox: false,
    ...options,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...args,
    ],
  });
}

// A page, with the look that a task wants; see page.js. Whatever it writes to its console as an error,
// throws, or is forbidden by its policy, `fail` is told.
export async function open(task, fail) {
  const browser = await start({
    javaScriptEnabled: task.scripts ?? true,
    viewport: { width: task.width ?? 1280, height: task.height ?? 800 },
    colorScheme: task.dark ? "dark" : "light",
  });
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.on("pageerror", (error) => fail(`thrown: ${error}`));
  page.on("console", (message) => message.type() === "error" && fail(`console: ${message.text()}`));
  if (task.native === false) {
    await page.addInitScript(() => (HTMLMediaElement.prototype.canPlayType = () => ""));
  }
  return { page, close: () => browser.close() };
}
