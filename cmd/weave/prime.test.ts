import { expect, it } from "vitest";
import { ownRunDir } from "../../test/support/run-dir.ts";
import { weave } from "./testing/harness.ts";
import { healthy, problem } from "./testing/statuses.ts";

const runDir = ownRunDir();
const waiting = {
  ...healthy,
  ok: false,
  problems: [problem("founding", "10.32.0.0/12", "weave status connections")],
  ipam: healthy.ipam.map((range) => ({ ...range, state: "waiting" })),
};

it("returns at once when there is a ring", async () => {
  await runDir.serve({ "/v1/status": [200, healthy] });
  expect(await weave(["prime"])).toEqual({
    stdout: "ready: addresses of 10.32.0.0/12 can be given out\n",
    stderr: "",
    code: 0,
  });
});

it("fails after its time, saying what was waited for", async () => {
  await runDir.serve({ "/v1/status": [200, waiting] });
  const { stdout, stderr, code } = await weave(["prime", "--timeout", "1.3"]);
  expect({ stdout, code }).toEqual({ stdout: "", code: 1 });
  expect(stderr).toMatch(/^weave: waiting: (.|\n)+\nweave: no ring after 1\.3 s: /);
});

it("waits for the ring", async () => {
  const answers: Record<string, [number, unknown]> = { "/v1/status": [200, waiting] };
  await runDir.serve(answers, () => {
    if (runDir.calls.length === 2) answers["/v1/status"] = [200, healthy];
  });
  expect(await weave(["prime", "--timeout", "8"])).toMatchObject({ code: 0 });
  expect(runDir.calls.length).toBe(3);
});

it.each(["soon", "-1", ""])("--timeout %j is refused", async (text) => {
  expect(await weave(["prime", `--timeout=${text}`])).toMatchObject({ stdout: "", code: 2 });
});
