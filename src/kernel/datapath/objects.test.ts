import { describe, expect, test } from "vitest";
import { gather, gatherRepairs, NAME } from "./objects.ts";

const flood = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => NAME.flood(`192.0.2.${i}`));

describe("names of what is damaged", () => {
  test("are told one by one, each once", () => {
    expect(gather([...flood(8), NAME.bridge("weave"), NAME.bridge("weave")])).toEqual([
      ...flood(8),
      "bridge weave",
    ]);
  });

  test("many of a kind are one, the same for what is found and what is mended", () => {
    const names = [...flood(9), NAME.bridge("weave")];
    expect(gather(names)).toEqual(["flood entry (many)", "bridge weave"]);
    expect(gatherRepairs(names.map((object) => ({ object, message: "added" })))).toEqual([
      { object: "flood entry (many)", message: "9 at once, such as: flood entry 192.0.2.0" },
      { object: "bridge weave", message: "added" },
    ]);
  });
});
