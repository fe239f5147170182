// Where a host's name comes from, seen from outside: Weave Net's test 390. Its rules are in test/scenario/390-peer-name.txt.
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { useLab } from "../support/lab.ts";

describe("the name of a peer", () => {
  const lab = useLab(2);

  it("is random, kept with the data, given with --name, and never changed under its ranges", async () => {
    const [one, other] = [lab.host(1), lab.host(2)];
    await Promise.all(lab.hosts.map((host) => host.launch()));
    const [first, second] = [(await one.status()).name, (await other.status()).name];
    expect(first).not.toBe(second); // one machine id, two data directories
    await one.stop();
    await one.launch();
    expect((await one.status()).name).toBe(first);
    await one.stop();
    const refused = await one.weave("launch", "--name", "4e:be:af:00:00:01");
    expect([refused.exit, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr.replace(/\s+/g, " ")).toContain(`belongs to peer ${first}`);
    for (const name of ["-x", "a b", "x".repeat(65), ""]) {
      const outcome = await one.weave("launch", `--name=${name}`);
      expect([name, outcome.exit, outcome.stdout]).toEqual([name, 2, ""]);
      expect(outcome.stderr).toContain("--name");
    }
    const fresh = `${one.dataDir}-fresh`;
    const bad = await one.weave("launch", "--name", "a/b", "--data-dir", fresh);
    expect([bad.exit, existsSync(fresh)]).toEqual([2, false]);
    await one.weaveOk("launch", "--name", "4e:be:af:00:00:01", "--nickname", "h1", "--data-dir", fresh);
    expect((await one.status()).name).toBe("4e:be:af:00:00:01");
    expect(await one.weaveOk("report", "-f", ".name")).toBe("4e:be:af:00:00:01\n");
  });
});
