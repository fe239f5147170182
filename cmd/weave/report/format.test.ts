import { describe, expect, it } from "vitest";
import { formatReport, parseFormat } from "./format.ts";

const report = {
  version: "1.2.3",
  ok: true,
  ipam: [{ range: "10.32.0.0/12", used: 3 }],
  peers: [
    { nickname: "alice", links: ["bob"] },
    { nickname: "bob", links: [], unreachableSince: "then" },
  ],
};
const made = (format: string): string => formatReport(parseFormat(format), report);

describe("format", () => {
  it.each([
    [".version", "1.2.3"],
    [".ipam.0.used", "3"],
    [".ipam[0].range", "10.32.0.0/12"],
    [".peers[].nickname", "alice\nbob"],
    [".peers[].unreachableSince", "then"],
    [".peers[].links[]", "bob"],
    [".ok", "true"],
    ["{{.version}} {{ .peers[].nickname }}!", "1.2.3 alice bob!"],
    ["{{.ipam}}", '[{"range":"10.32.0.0/12","used":3}]'],
  ])("%s", (format, text) => expect(made(format)).toBe(text));

  it("everything", () => expect(JSON.parse(made("."))).toEqual(report));

  it.each([
    [".versoin", 'there is no "versoin"; there is: version, ok, ipam, peers'],
    [".peers[].nick", 'there is no "nick"; there is: nickname, links'],
    [".ipam.1", 'there is a list of 1 at "1"'],
    [".version.x", "nothing is below 1.2.3"],
    ["version", "a path is like"],
    ["{{.version", '"{{" has no "}}"'],
  ])("%s is refused: %s", (format, why) => expect(() => made(format)).toThrow(why));
});
