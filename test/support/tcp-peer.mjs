// One end of a TCP transfer, run inside a namespace:
//
//   listen PORT            echoes everything; says "listening"
//   send HOST PORT BYTES   sends, reads the echo back, says how many bytes came back unchanged
//   stream HOST PORT       a numbered line every 10 ms, each echoed before the next; on SIGINT says {count, longestMs}
import { connect, createServer } from "node:net";

const [mode, ...words] = process.argv.slice(2);

if (mode === "listen") {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(Number(words[0]), "::", () => console.log("listening"));
} else if (mode === "send") {
  const total = Number(words[2]);
  const block = Buffer.alloc(64 * 1024);
  for (let i = 0; i < block.length; i++) block[i] = i % 251;
  const socket = connect({ host: words[0], port: Number(words[1]), timeout: 15_000 });
  socket.on("timeout", () => socket.destroy(new Error("no progress for 15 s")));
  let sent = 0;
  let received = 0;
  let unchanged = 0;
  const push = () => {
    while (sent < total) {
      const size = Math.min(block.length, total - sent);
      sent += size;
      if (!socket.write(block.subarray(0, size))) {
        socket.once("drain", push);
        return;
      }
    }
  };
  socket.on("connect", push);
  socket.on("data", (chunk) => {
    for (const byte of chunk) {
      if (byte === block[received % block.length]) unchanged++;
      received++;
    }
    if (received >= total) socket.end();
  });
  socket.on("close", () => console.log(unchanged));
} else if (mode === "stream") {
  const socket = connect({ host: words[0], port: Number(words[1]) });
  socket.setNoDelay(true);
  let count = 0;
  let longestMs = 0;
  let sentAt = 0;
  let text = "";
  const next = () => {
    sentAt = performance.now();
    socket.write(`${count}\n`);
  };
  socket.on("connect", next);
  socket.setEncoding("utf8");
  socket.on("data", (chunk) => {
    text += chunk;
    if (!text.endsWith("\n")) return;
    if (text !== `${count}\n`) throw new Error(`sent ${count}, received ${text}`);
    text = "";
    longestMs = Math.max(longestMs, performance.now() - sentAt);
    count++;
    if (count === 1) console.error("streaming");
    setTimeout(next, 10);
  });
  process.on("SIGINT", () => {
    longestMs = Math.max(longestMs, text === "" && count > 0 ? longestMs : performance.now() - sentAt);
    console.log(JSON.stringify({ count, longestMs }));
    process.exit(0);
  });
}
