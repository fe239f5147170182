// `weave doctor` on a host whose way to another one loses large packets, as the daemon finds out by sending them: what it
// says mends it, and then nothing is wrong.
import { execFile } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { doctorReport } from "../../cmd/weave/doctor/report.ts";
import { eventually } from "../kernel/support/namespaces.ts";
import { useLab } from "../support/lab.ts";

const BIN = new URL("../../dist/bin", import.meta.url).pathname;

const lab = useLab(2);

it("the MTU that passes is found, and mends the path", async () => {
  for (const host of lab.hosts) symlinkSync("/usr/lib/cni/loopback", join(host.cniBinDir, "loopback"));
  await lab.launchAll();
  const host = lab.host(1);
  const doctor = async () => doctorReport.parse(JSON.parse((await host.weave("doctor", "--json")).stdout));
  expect((await doctor()).findings).toEqual([]);

  const underlay = lab.underlay.namespace;
  await underlay.run("nft add table bridge fault");
  await underlay.run("nft add chain bridge fault forward { type filter hook forward priority 0 ; }");
  await underlay.run("nft add rule bridge fault forward udp dport 6784 meta length > 1400 drop");
  const command = await eventually(
    "doctor knows which MTU passes",
    async () => {
      const [found, ...others] = (await doctor()).findings;
      expect(others).toEqual([]);
      if (found !== undefined) expect(found).toMatchObject({ code: "path-mtu", object: "h2", check: "mtu" });
      return found?.command.startsWith("weave stop") === true && found.command;
    },
    30_000,
  );
  expect(command).toMatch(/^weave stop && weave launch --mtu 1[23]\d\d$/);
  await new Promise<void>((resolve, reject) => {
    const env = {
      PATH: `${BIN}:/usr/sbin:/usr/bin:/sbin:/bin`,
      ...{ WEAVE_RUN_DIR: host.runDir, WEAVE_DATA_DIR: host.dataDir },
    };
    const words = [`--net=${host.namespace.path}`, "sh", "-c", command];
    execFile("nsenter", words, { cwd: "/", env }, (error) => (error === null ? resolve() : reject(error)));
  });
  await lab.untilAllOk();
  expect((await doctor()).findings).toEqual([]);
});
