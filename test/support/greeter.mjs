// A server that says who it is and whom it sees, and its client, run inside a namespace:
//
//   serve tcp|udp PORT NAME        answers each connection or datagram with "NAME ADDRESS", the address of the asker as
//                                  it arrives; says "serving"
//   ask tcp|udp HOST PORT          prints the answer; ends with 1 when there is none within a second
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";

const [mode, protocol, ...words] = process.argv.slice(2);

if (mode === "serve") {
  const [port, name] = words;
  if (protocol === "tcp") {
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.end(`${name} ${socket.remoteAddress}`);
    });
    server.listen(Number(port), "0.0.0.0", () => console.log("serving"));
  } else {
    const socket = createSocket("udp4");
    socket.on("message", (_, from) => socket.send(`${name} ${from.address}`, from.port, from.address));
    socket.bind(Number(port), () => console.log("serving"));
  }
} else {
  const [host, port] = words;
  setTimeout(() => process.exit(1), 1000);
  const answer = (text) => {
    console.log(String(text));
    process.exit(0);
  };
  if (protocol === "tcp") {
    const socket = connect({ host, port: Number(port) });
    socket.on("error", () => process.exit(1));
    socket.on("data", answer);
  } else {
    const socket = createSocket("udp4");
    socket.on("error", () => process.exit(1));
    socket.on("message", answer);
    socket.send("?", Number(port), host);
  }
}
