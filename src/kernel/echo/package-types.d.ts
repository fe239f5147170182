// Types of npm raw-socket 1.8.1, which brings none: as much as raw-socket.ts uses, as its index.js reads.
declare module "raw-socket" {
  interface Socket {
    /** `before` is called right before the kernel gets it, `after` with what that says. */
    send(
      buffer: Buffer,
      offset: number,
      length: number,
      address: string,
      before: () => void,
      after: (error: Error | null, bytes: number) => void,
    ): void;
    setOption(level: number, option: number, value: Buffer, length: number): void;
    on(event: "message", listener: (bytes: Buffer, source: string) => void): void;
    on(event: "error", listener: (error: Error) => void): void;
    close(): void;
  }
  const raw: {
    createSocket(options: {
      readonly protocol: number;
      readonly addressFamily: number;
      readonly bufferSize: number;
    }): Socket;
    readonly AddressFamily: { readonly IPv4: number; readonly IPv6: number };
    readonly Protocol: { readonly ICMP: number; readonly ICMPv6: number };
  };
  export default raw;
}
