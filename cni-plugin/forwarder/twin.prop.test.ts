// The forwarder and request.ts check the same input by the same rules: whatever is thrown at both, they agree
// on the code.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CniError } from "../errors.ts";
import { parseRequest } from "../request.ts";
import { buildForwarder, ENVIRONMENT, type Forwarder } from "../testing/forwarder.ts";

let forwarder: Forwarder;
beforeAll(() => {
  forwarder = buildForwarder();
});
afterAll(() => forwarder.remove());

/** 0 when the call is good: then the forwarder finds no daemon, and says 11 or 50. */
function codeOfForwarder(env: Record<string, string>, stdin: string): number {
  const { stdout } = spawnSync(join(forwarder.dir, "weave-net"), {
    env: { ...env, WEAVE_SOCKET: "/nonexistent/weave.sock" },
    input: stdin,
    encoding: "utf8",
  });
  const { code } = JSON.parse(stdout);
  return code === 11 || code === 50 ? 0 : code;
}

function codeOfDaemon(env: Record<string, string>, stdin: string): number {
  try {
    parseRequest({ program: "weave-net", env, stdin, pid: 1 });
    return 0;
  } catch (error) {
    return error instanceof CniError ? error.code : -1;
  }
}

const agree = (env: Record<string, string>, stdin: string): void =>
  expect({ stdin, code: codeOfForwarder(env, stdin) }).toEqual({ stdin, code: codeOfDaemon(env, stdin) });

/** Small things JSON readers disagree about. */
const DOCUMENTS = [
  ...[
    "",
    " ",
    "{",
    "}",
    "[]",
    "null",
    '"x"',
    "5",
    "{}",
    "{,}",
    '{"name":"n",}',
    '{"name":"n"}x',
    '\ufeff{"name":"n"}',
    '{"name" : "n" }\r\n\t',
  ],
  ...[
    '{"name":null}',
    '{"name":""}',
    '{"name":"a b"}',
    '{"name":"n\\u0000"}',
    '{"name":"\\u006e"}',
    '{"n\\u0061me":"n"}',
    '{"name":5}',
    '{name:"n"}',
  ],
  ...[
    '{"name":"x","name":"a b"}',
    '{"name":"a b","name":"x"}',
    '{"name":"x","name":null}',
    '{"name":["n"]}',
    "{'name':'n'}",
    '{"name":"é"}',
    '{"name":"-n"}',
  ],
  ...[
    '{"name":"n","cniVersion":null}',
    '{"name":"n","cniVersion":""}',
    '{"name":"n","cniVersion":"0.2.0"}',
    '{"name":"n","cniVersion":"1.0"}',
  ],
  ...[
    '{"name":"n","cniVersion":"1.0.0\\u0000"}',
    '{"name":"n","cniVersion":1}',
    '{"name":"n","cniVersion":{}}',
    '{"a":{"name":7},"name":"n"}',
  ],
  ...[
    "0",
    "-0",
    "01",
    "-",
    "1.",
    ".5",
    "1.5e",
    "1e+5",
    "1E-05",
    "+1",
    "0x1",
    "NaN",
    "1e999",
    "tru",
    "true",
    "truex",
    "False",
  ].map((v) => `{"name":"n","x":${v}}`),
  ...[
    '"\\n"',
    '"\\x"',
    '"\\u12"',
    '"\\u12g4"',
    '"\\ud83d\\ude00"',
    '"\\ud83d"',
    '"\\ude00x"',
    '"\t"',
    '"\u001f"',
    '"\u007f"',
    '"\\/"',
    '"',
    '"\\',
    '"\\u',
  ].map((v) => `{"name":"n","x":${v}}`),
  ...[
    "[",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[[],[{}]]",
    "[}",
    "{]",
    '{"a"}',
    '{"a":}',
    '{"a":1 "b":2}',
    '{"a":1,}',
    "{1:2}",
  ].map((v) => `{"name":"n","x":${v}}`),
];

test.each(DOCUMENTS)("%j", (stdin) => {
  agree(ENVIRONMENT, stdin);
});

test("any JSON value beside the name, and any damage done to it", () => {
  const document = fc.record({
    name: fc.constantFrom("n", "a b", "x.y-z_0"),
    cniVersion: fc.constantFrom("1.0.0", "0.4.0", "3"),
    x: fc.jsonValue(),
  });
  const damage = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat(2),
    insert: fc.constantFrom("", '"', "\\", ",", "{", "]", "0", "\\u", "e", " ", ":", "\n"),
  });
  fc.assert(
    fc.property(document, damage, (value, { at, cut, insert }) => {
      const whole = JSON.stringify(value);
      const place = Math.floor(at * whole.length);
      // toWellFormed: half a surrogate pair cannot be sent through a pipe.
      agree(
        ENVIRONMENT,
        new TextDecoder().decode(
          new TextEncoder().encode(whole.slice(0, place) + insert + whole.slice(place + cut)),
        ),
      );
    }),
    { numRuns: 500 },
  );
});

test("any environment", () => {
  const part = fc.oneof(
    fc.constantFrom(
      "",
      "a",
      "c-1",
      "x/..",
      "-x",
      "a b",
      ".",
      "..",
      "a:b",
      "a".repeat(15),
      "a".repeat(16),
      "ä".repeat(7),
      "ä".repeat(8),
      "a\u00a0b",
      "a\u2003b",
      "a\u0085",
      "a\tb",
    ),
    fc.string({ unit: "grapheme", maxLength: 20 }).map((s) => s.replaceAll("\0", "")),
  );
  const verb = fc.constantFrom("ADD", "CHECK", "GC", "STATUS", "FOO", "add", "ADD ");
  const version = fc.constantFrom("0.1.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", "9");
  fc.assert(
    fc.property(
      verb,
      part,
      part,
      part,
      version,
      (CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS, cniVersion) => {
        agree(
          { CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS },
          JSON.stringify({ name: "n", cniVersion }),
        );
      },
    ),
    { numRuns: 500 },
  );
});
