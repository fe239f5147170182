// The socket of npm raw-socket. Its native part is compiled when it is installed and lives on the main thread's event loop;
// both make it optional. The only file that imports it.
import { OPTIONS } from "./options.ts";
import type { OpenSocket } from "./socket.ts";

/** The largest packet there is. */
const BUFFER_BYTES = 65_536;

/** Throws where the package was not compiled. */
export const openRawSocket: OpenSocket = async (family, listener) => {
  const { default: raw } = await import("raw-socket");
  const socket = raw.createSocket({
    protocol: family === 4 ? raw.Protocol.ICMP : raw.Protocol.ICMPv6,
    addressFamily: family === 4 ? raw.AddressFamily.IPv4 : raw.AddressFamily.IPv6,
    bufferSize: BUFFER_BYTES,
  });
  // What it tells this way is what another packet met, an ICMP error for instance; of ours it tells in send.
  socket.on("error", () => {});
  try {
    for (const { level, name, value } of OPTIONS[family]) socket.setOption(level, name, value, value.length);
  } catch (error) {
    socket.close();
    throw error;
  }
  // It gives each packet as a view of one buffer, which the next packet overwrites; nobody keeps them.
  socket.on("message", (bytes) => listener.packet(bytes));
  return {
    send(message, address, sending, refused) {
      socket.send(message, 0, message.length, address, sending, (error) => {
        if (error !== null) refused(error.message);
      });
    },
    async close() {
      socket.close();
    },
  };
};
