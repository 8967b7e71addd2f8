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
