import { expect, test } from "vitest";
import { instant, json, plain, shorten, width, wrap } from "./text.ts";

test("text of other hosts cannot control the terminal", () => {
  expect(plain("a\u001b[31mb\u009bc\nd\u202ee\u2028f")).toBe("a?[31mb?c?d?e?f");
  expect(plain("Grüße, 世界 🙂")).toBe("Grüße, 世界 🙂");
});

test("shortening counts characters", () => {
  expect(shorten("abcdef", 6)).toBe("abcdef");
  expect(shorten("abcdefg", 6)).toBe("abcde…");
  expect(shorten("🙂🙂🙂", 2)).toBe("🙂…");
  expect(width("🙂🙂🙂")).toBe(3);
});

test("wrapping keeps lead, lines and long words", () => {
  expect(wrap("  aa bb cc dd", 8, "    ")).toBe("  aa bb\n    cc\n    dd");
  expect(wrap("aa\nbb cc", 4, "-")).toBe("aa\nbb\n-cc");
  expect(wrap("/a/very/long/path x", 5, " ")).toBe("/a/very/long/path\n x");
  expect(wrap("12345", 5)).toBe("12345");
  expect(wrap("12 45", 5)).toBe("12 45");
  expect(wrap("", 5)).toBe("");
});

test("instants lose the fraction of a second", () => {
  expect(instant("2026-01-31T12:00:00.123Z")).toBe("2026-01-31T12:00:00Z");
  expect(instant("2026-01-31T12:00:00Z")).toBe("2026-01-31T12:00:00Z");
  expect(instant("yesterday")).toBe("yesterday");
});

test("JSON has no character that a terminal obeys, and means the same", () => {
  const value = { a: "\u001b\u009b\u007f\u2028" };
  expect(json(value)).toMatch(/^[ -~\n]*$/);
  expect(JSON.parse(json(value))).toEqual(value);
});
