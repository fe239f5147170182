// How a CloseReason travels in a WebSocket close frame (RFC 6455 section 5.5: a code and at most 123 bytes of UTF-8),
// and what the codes of WebSocket itself mean to us. Not which reasons there are: those belong to the core.
import { z } from "zod";
import type { CloseReason } from "../../ports/transport.ts";

/** First code of the range that RFC 6455 section 7.4.2 leaves to applications; we need only one. */
export const CLOSE_CODE = 4000;

/** A control frame carries 125 bytes, two of which are the code. */
const MAX_REASON_BYTES = 123;

// The other side is not trusted: a bounded code that can be compared and printed, and a message to print.
const reasonSchema = z.object({
  code: z.string().regex(/^[a-z][a-z0-9-]{0,39}$/),
  message: z.string().transform((text) => text.replace(/\p{Cc}/gu, " ")),
});

/** The text of the close frame. The message is cut between characters where it does not fit, and ends with … then. */
export function encodeCloseReason(reason: CloseReason): string {
  const code = reason.code.slice(0, 40);
  const whole = JSON.stringify({ code, message: reason.message });
  if (Buffer.byteLength(whole) <= MAX_REASON_BYTES) return whole;
  const characters = Array.from(reason.message.slice(0, MAX_REASON_BYTES));
  for (;;) {
    const text = JSON.stringify({ code, message: `${characters.join("")}…` });
    if (Buffer.byteLength(text) <= MAX_REASON_BYTES || characters.length === 0) return text;
    characters.pop();
  }
}

/** What the other side said when it closed; `undefined` when it went away without a word (1006, never on the wire). */
export function decodeCloseReason(closeCode: number, text: string): CloseReason | undefined {
  switch (closeCode) {
    case CLOSE_CODE:
      return parseReason(text) ?? WITHOUT_REASON;
    case 1003:
    case 1007:
      return { code: "bad-frame", message: "the other side refused a frame that is not text in UTF-8" };
    case 1002:
      return {
        code: "bad-frame",
        message: "the other side refused a frame that breaks the WebSocket protocol",
      };
    case 1009:
      return { code: "frame-too-large", message: "the other side refused a frame for its size" };
    case 1006:
      return undefined;
    default:
      return WITHOUT_REASON;
  }
}

const WITHOUT_REASON: CloseReason = {
  code: "closed",
  message: "the other side closed the connection and gave no reason that can be understood",
};

function parseReason(text: string): CloseReason | undefined {
  try {
    return reasonSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
