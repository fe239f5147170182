import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CLOSE_CODE, decodeCloseReason, encodeCloseReason } from "./close-reason.ts";

describe("close reasons", () => {
  it("come through as they were when they fit", () => {
    const reason = { code: "clone", message: 'name "alice" is used by another machine' };
    expect(decodeCloseReason(CLOSE_CODE, encodeCloseReason(reason))).toEqual(reason);
  });

  it("fit a control frame and keep code and a prefix of the message, whatever they say", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 400 }), (message) => {
        const text = encodeCloseReason({ code: "too-slow", message });
        expect(Buffer.byteLength(text)).toBeLessThanOrEqual(123);
        const cut: unknown = JSON.parse(text);
        expect(cut).toMatchObject({ code: "too-slow" });
        const decoded = decodeCloseReason(CLOSE_CODE, text);
        expect(decoded?.code).toBe("too-slow");
        const said = decoded?.message ?? "none";
        const whole = message.replace(/\p{Cc}/gu, " ");
        if (said !== whole) expect(said.endsWith("…")).toBe(true);
        const told = said === whole ? said : said.slice(0, -1);
        expect(whole.startsWith(told)).toBe(true);
        // None that the cut made; the message may have its own.
        expect(told.includes("\ufffd")).toBe(message.slice(0, told.length).includes("\ufffd"));
      }),
    );
  });

  it("are cut as late as possible", () => {
    const text = encodeCloseReason({ code: "x", message: "é".repeat(200) });
    expect(text).toMatch(/é…"}$/);
    expect(Buffer.byteLength(text)).toBeGreaterThan(121);
  });

  it.each([
    ["no JSON", "{"],
    ["no object", "7"],
    ["no code", '{"message":"m"}'],
    ["a code with a line break", '{"code":"a\\nb","message":"m"}'],
    ["a message that is no text", '{"code":"a","message":{}}'],
  ])("%s is not understood", (_, text) => {
    expect(decodeCloseReason(CLOSE_CODE, text)?.code).toBe("closed");
  });

  it("lose control characters, which a terminal would obey", () => {
    expect(decodeCloseReason(CLOSE_CODE, JSON.stringify({ code: "a", message: "x\u001b[31my" }))).toEqual({
      code: "a",
      message: "x [31my",
    });
  });

  it.each([
    [1009, "frame-too-large"],
    [1007, "bad-frame"],
    [1001, "closed"],
    [1006, undefined],
    [4001, "closed"],
  ])("WebSocket's own code %i means %s", (code, ours) => {
    expect(decodeCloseReason(code, "")?.code).toBe(ours);
  });
});
