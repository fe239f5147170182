// A server in a namespace that answers each client with its own name and the client's address, over TCP and UDP, and
// clients that ask it. Programs of their own, because a namespace belongs to a thread.
import { spawn } from "node:child_process";
import { eventually, type TestNamespace } from "./namespaces.ts";

const SERVER = `
const [name, port, host] = process.argv.slice(1);
const answer = (address) => name + " " + address.replace("::ffff:", "");
require("net").createServer((socket) => {
  socket.on("error", () => {});
  socket.end(answer(socket.remoteAddress));
}).listen(Number(port), host, () => {
  const udp = require("dgram").createSocket(host.includes(":") ? "udp6" : "udp4");
  udp.on("message", (_, from) => udp.send(answer(from.address), from.port, from.address));
  udp.bind(Number(port), host, () => console.log("listening"));
});`;

const CLIENT = `
const [protocol, host, port, from] = process.argv.slice(1);
const done = (text) => { console.log(text); process.exit(0); };
setTimeout(() => done("silence"), 1500);
if (protocol === "tcp") {
  const socket = require("net").connect({ host, port: Number(port) });
  socket.on("data", (data) => done(String(data)));
  socket.on("error", (error) => done(error.code));
} else {
  const udp = require("dgram").createSocket(host.includes(":") ? "udp6" : "udp4");
  udp.on("error", (error) => done(error.code));
  udp.on("message", (data) => done(String(data)));
  const send = () => udp.send("hello", Number(port), host);
  from === undefined ? send() : udp.bind(Number(from), send);
}`;

/** A server's process. */
export interface Echo {
  stop(): Promise<void>;
}

/** Listens at a port of every address of both families, or of one. */
export async function echo(ns: TestNamespace, name: string, port: number, host = "::"): Promise<Echo> {
  const child = spawn(
    "nsenter",
    [`--net=${ns.path}`, process.execPath, "-e", SERVER, name, String(port), host],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString("utf8");
  });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  await eventually(`${name} listens`, () => out.includes("listening"));
  return {
    async stop() {
      child.kill();
      await closed;
    },
  };
}

/** What a server answers: its name and the address it saw; "silence", or an errno name, when none does. */
export async function ask(
  ns: TestNamespace,
  protocol: "tcp" | "udp",
  host: string,
  port: number,
  sourcePort?: number,
): Promise<string> {
  const args = [protocol, host, String(port), ...(sourcePort === undefined ? [] : [String(sourcePort)])];
  return (await ns.exec([process.execPath, "-e", CLIENT, ...args])).trim();
}
