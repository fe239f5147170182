import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { installPlugin } from "../testing/cni-host.ts";
import { temporaryDirectory } from "../testing/harness.ts";
import { forwarderVersion, probeVersions } from "./plugin-probe.ts";
import { sortVersions, spanOf } from "./versions.ts";

let directory: ReturnType<typeof temporaryDirectory>;
let path: string;
beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory.path, "plugin");
});
afterEach(() => directory.remove());

function script(text: string): string {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe("VERSION", () => {
  test("is asked with the variables and the input of libcni, and no others", () => {
    script(`env | grep -v -e PWD= -e _= -e SHLVL= -e OLDPWD= | sort > ${directory.path}/env
      cat > ${directory.path}/in; echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0","0.4.0","0.10.0"]}'`);
    expect(probeVersions(path)).toEqual({ versions: ["0.4.0", "0.10.0", "1.0.0"] });
    const read = script(`cat ${directory.path}/env ${directory.path}/in >&2; exit 1`);
    const told = probeVersions(read);
    expect(told).toEqual({ silent: "VERSION failed with exit code 1: CNI_COMMAND=VERSION" });
  });

  test.each([
    [`echo '{"cniVersion":"0.2.0"}'`, { versions: ["0.1.0", "0.2.0"] }],
    [`echo '{"code":4,"msg":"unknown CNI_COMMAND: VERSION"}'; exit 1`, { versions: ["0.1.0"] }],
    [`echo '{"code":4,"msg":"no libc"}'; exit 1`, { silent: "VERSION failed with exit code 1: no libc" }],
    ["exit 3", { silent: "VERSION failed with exit code 3" }],
    ["true", { silent: "its answer to VERSION is not one of a CNI plugin" }],
    ["echo hello", { silent: "its answer to VERSION is not one of a CNI plugin" }],
    [`echo '{"cniVersion":"1.0.0"}'`, { silent: "its answer to VERSION has no supportedVersions" }],
    ["head -c 100000 /dev/zero", { silent: expect.stringMatching(/cannot be run/) }],
  ])("%s", (text, expected) => {
    expect(probeVersions(script(text))).toEqual(expected);
  });

  test("a plugin that hangs is killed, also when a child of it holds its output", () => {
    const begin = Date.now();
    expect(probeVersions(script("sleep 60 & sleep 60"), 200)).toEqual({
      silent: "it does not answer within 0.2 s",
    });
    expect(Date.now() - begin).toBeLessThan(5000);
  });

  test("what is no program", () => {
    writeFileSync(path, "text");
    expect(probeVersions(path)).toHaveProperty("silent");
    chmodSync(path, 0o755);
    expect(probeVersions(path)).toHaveProperty("silent");
    expect(probeVersions(`${path}x`)).toHaveProperty("silent");
  });
});

test("which weave a forwarder is of", () => {
  installPlugin(path, ["1.0.0"], "", "0.2.3");
  expect(forwarderVersion(path)).toBe("0.2.3");
  expect(forwarderVersion(script("echo CNI bridge plugin v1.1.1 >&2"))).toBeUndefined();
  expect(forwarderVersion(script("sleep 60"), 200)).toBeUndefined();
});

test("versions in order and as a span", () => {
  expect(sortVersions(["1.0.0", "0.10.0", "what", "0.4.0"])).toEqual(["what", "0.4.0", "0.10.0", "1.0.0"]);
  expect([[], ["1.0.0"], ["0.1.0", "0.2.0", "1.0.0"]].map(spanOf)).toEqual([
    "none",
    "1.0.0",
    "0.1.0 to 1.0.0",
  ]);
});
