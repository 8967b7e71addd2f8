// Starts Debian's Firefox, which keeps nothing but what is in the working directory. It is driven by
// its own protocol, Marionette (<https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html>):
// Playwright drives only a Firefox of its own. A page has what page.js needs, by Playwright's names.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const PORT = 2828; // Unless it is told another.

// What was thrown by web pages, or forbidden by their policies.
const ERRORS = `Services.console.getMessageArray()
  .filter((message) => message instanceof Ci.nsIScriptError && message.flags === Ci.nsIScriptError.errorFlag)
  .filter(({ sourceName }) => sourceName.startsWith("http"))
  .map(({ sourceName, errorMessage }) => sourceName + ": " + errorMessage).join("\\n")`;

const KEYS = { Escape: "\uE00C" }; // As WebDriver has them.

async function connected() {
  for (;;) {
    const socket = connect(PORT, "127.0.0.1");
    try {
      await once(socket, "connect");
      return socket;
    } catch {
      await pause(50);
    }
  }
}

// Each is its length, a colon, and JSON.
async function* messages(socket) {
  let rest = Buffer.alloc(0);
  for await (const data of socket) {
    rest = Buffer.concat([rest, data]);
    for (;;) {
      const [length] = rest.toString("latin1").split(":", 1);
      const end = length.length + 1 + Number(length);
      if (rest.length < end) break;
      yield JSON.parse(rest.subarray(length.length + 1, end));
      rest = rest.subarray(end);
    }
  }
}

export async function open() {
  mkdirSync("profile");
  const options = ["--headless", "--width=1280", "--height=800", "--no-remote", "--profile", "profile"];
  const firefox = spawn("firefox-esr", [...options, "--marionette", "--remote-allow-system-access"], {
    env: { ...process.env, HOME: process.cwd() },
    stdio: ["ignore", "ignore", "inherit"],
  });
  process.on("exit", () => firefox.kill("SIGKILL"));

  const socket = await connected();
  const answers = messages(socket);
  await answers.next(); // Its greeting.
  async function send(command, parameters) {
    const message = JSON.stringify([0, 0, command, parameters]);
    socket.write(`${Buffer.byteLength(message)}:${message}`);
    const [, , error, result] = (await answers.next()).value;
    if (error) throw new Error(`${command}: ${error.message}`);
    return result.value;
  }
  async function run(context, expression) {
    await send("Marionette:SetContext", { value: context });
    return send("WebDriver:ExecuteScript", { script: `return ${expression}`, args: [] });
  }
  async function element(command, parameters) {
    return { id: Object.values(await send(command, parameters))[0] };
  }
  await send("WebDriver:NewSession");

  const page = {
    goto: (url) => send("WebDriver:Navigate", { url }),
    // Fails if there has been an error, too.
    async evaluate(expression) {
      const errors = await run("chrome", ERRORS);
      if (errors) throw new Error(errors);
      return run("content", expression);
    },
    async click(selector) {
      const found = await element("WebDriver:FindElement", { using: "css selector", value: selector });
      await send("WebDriver:ElementClick", found);
    },
    keyboard: {
      async press(key) {
        const focused = await element("WebDriver:GetActiveElement");
        await send("WebDriver:ElementSendKeys", { ...focused, text: KEYS[key] });
      },
    },
  };
  async function close() {
    firefox.kill("SIGKILL");
    await once(firefox, "exit");
  }
  return { page, close };
}
