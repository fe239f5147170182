// `npm run demo`: the main job on this one machine. Sets the machine up, brings three hosts together, lets containers talk
// across them, kills a daemon under traffic, and removes everything it made, also when interrupted.

import { close, makeContainer, makeHost, makeUnderlay, must, removeEverything } from "./demo/hosts.mjs";
import { isMainModule } from "./run.mjs";
import { prepare } from "./setup-machine.mjs";

/** One ping in this many milliseconds while a daemon is killed: fine enough to see any gap. */
const PING_INTERVAL_MS = 10;

async function demo() {
  const base = await makeUnderlay();
  const hosts = [];
  for (const [index, name] of ["alpha", "beta", "gamma"].entries())
    hosts.push(await makeHost(base, name, index + 1));
  const [alpha, beta, gamma] = hosts;
  try {
    await tell(alpha, beta, gamma);
  } catch (error) {
    for (const host of hosts)
      console.error(
        `--- last words of weaver on ${host.name}\n${host.log().split("\n").slice(-8).join("\n")}`,
      );
    throw error;
  }
}

async function tell(alpha, beta, gamma) {
  say(`Three hosts on one network: ${[alpha, beta, gamma].map((h) => `${h.name} ${h.address}`).join(", ")}.`);

  say("setup installs the CNI plugin and 10-weave.conf; launch starts the daemon.");
  for (const host of [alpha, beta, gamma]) {
    await host.weave("setup", "--cni-bin-dir", host.dirs.bin, "--cni-conf-dir", host.dirs.conf);
  }
  show(alpha, "weave launch --nickname alpha", await alpha.weave("launch", "--nickname", "alpha"));
  show(
    beta,
    `weave launch --nickname beta ${alpha.address}`,
    await beta.weave("launch", "--nickname", "beta", alpha.address),
  );
  show(gamma, "weave launch --nickname gamma", await gamma.weave("launch", "--nickname", "gamma"));

  say("gamma was launched alone. connect brings it in: its own ring was never used, so it gives way.");
  show(gamma, `weave connect ${alpha.address}`, await gamma.weave("connect", alpha.address));
  await eventually("the three hosts know each other", async () => {
    const counts = await Promise.all(
      [alpha, beta, gamma].map(async (h) => JSON.parse(await h.weave("status", "--json")).peers.length),
    );
    return counts.every((count) => count === 3);
  });

  say("expose gives each host itself an address in the container network.");
  for (const host of [alpha, beta, gamma]) show(host, "weave expose", await host.weave("expose"));

  say("Containers are attached as a container runtime does it: by calling the installed plugin.");
  const placed = [];
  for (const [host, name] of [
    [alpha, "web"],
    [beta, "db"],
    [gamma, "cache"],
    [gamma, "batch"],
  ]) {
    const container = await makeContainer(name);
    const result = await host.cni("ADD", container);
    const address = result.ips[0].address.split("/")[0];
    placed.push({ host, container, address });
    show(host, `weave-net ADD ${name}`, result.ips[0].address);
  }
  const [web, db, cache] = placed;

  say("Every container reaches every other, on whichever host.");
  for (const from of placed) {
    for (const to of placed) {
      if (from !== to) await from.container.exec("ping", "-q", "-c", "1", "-W", "2", to.address);
    }
  }
  console.log(`  ${placed.length * (placed.length - 1)} pings, all answered`);

  say("Data across hosts, both directions (TCP, one second each).");
  await transfer(web, db);
  await transfer(db, web);
  await transfer(cache, web);

  say("What the operator sees on beta:");
  for (const section of [[], ["ipam"]])
    show(beta, ["weave status", ...section].join(" "), await beta.weave("status", ...section));

  say(
    `Now the daemon on beta is killed (-9) and launched again, while web pings db every ${PING_INTERVAL_MS} ms.`,
  );
  await killUnderTraffic(beta, web, db);

  say("Containers go as they came.");
  for (const { host, container } of placed) await host.cni("DEL", container);
  await eventually("alpha knows that all containers are gone", async () => {
    const { endpoints } = JSON.parse(await alpha.weave("status", "endpoints", "--json"));
    return endpoints.every((endpoint) => endpoint.label === "expose");
  });
  for (const host of [alpha, beta, gamma]) show(host, "weave stop", await host.weave("stop"));
}

async function transfer(from, to) {
  const server = to.container.start("iperf3", "-s", "-1", "--forceflush");
  await eventually("iperf3 listens", async () => server.soFar().includes("listening"));
  const report = JSON.parse(await from.container.exec("iperf3", "-c", to.address, "-t", "1", "-J"));
  await server.ended;
  const { bits_per_second: rate, bytes } = report.end.sum_received;
  if (!(bytes > 0)) throw new Error(`no data arrived from ${from.container.name} at ${to.container.name}`);
  const label = `${from.container.name} on ${from.host.name} -> ${to.container.name} on ${to.host.name}`;
  console.log(
    `  ${label.padEnd(40)} ${(bytes / 2 ** 20).toFixed(0).padStart(6)} MiB  ${(rate / 1e9).toFixed(1)} Gbit/s`,
  );
}

async function killUnderTraffic(host, from, to) {
  const before = JSON.parse(await host.weave("status", "--json"));
  const ping = from.container.start("ping", "-i", String(PING_INTERVAL_MS / 1000), to.address);
  const answers = () => ping.soFar().split("bytes from").length - 1;
  await eventually("pings are answered", async () => answers() > 20);
  process.kill(host.pid(), "SIGKILL");
  const atKill = answers();
  await eventually("pings go on without the daemon", async () => answers() > atKill + 50);
  show(host, "weave launch --nickname beta", await host.weave("launch", "--nickname", "beta"));
  await eventually("beta is connected again", async () => {
    const now = JSON.parse(await host.weave("status", "--json"));
    return now.ok && now.connections.some((c) => c.state === "established");
  });
  ping.stop();
  const summary = /(\d+) packets transmitted, (\d+) received.*/.exec(await ping.ended);
  if (summary === null) throw new Error("ping told no summary");
  console.log(`  ${summary[0]}`);
  const lost = Number(summary[1]) - Number(summary[2]);
  // ping may be stopped with its last packet under way.
  if (lost > 1) throw new Error(`${lost} packets were lost while weaver was away`);
  const after = JSON.parse(await host.weave("status", "--json"));
  for (const what of ["name", "cluster", "exposed"]) {
    if (JSON.stringify(after[what]) !== JSON.stringify(before[what]))
      throw new Error(`${what} changed over the restart`);
  }
  console.log("  same name, same ring, same addresses, nothing lost");
}

const started = Date.now();

function say(text) {
  console.log(`\n[${((Date.now() - started) / 1000).toFixed(1).padStart(4)} s] ${text}`);
}

function show(host, command, output) {
  console.log(`  ${host.name}# ${command}`);
  for (const line of output.split("\n")) if (line !== "") console.log(`      ${line}`);
}

/** Wait for a fact; fail loudly when it does not come. */
async function eventually(what, fact, timeoutMs = 20_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    if (await fact().catch(() => false)) return;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

if (isMainModule(import.meta.url)) {
  let ending;
  const end = (code) => {
    ending ??= close().then(
      () => process.exit(code),
      (error) => {
        console.error(`demo: could not remove everything: ${error.message}`);
        process.exit(1);
      },
    );
    return ending;
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      console.error(`\ndemo: ${signal}, removing what was made`);
      void end(130);
    });
  }
  // Whoever read this has gone (`npm run demo | head`): nothing more can be told, and all the same nothing stays.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => void end(1));
  try {
    if (process.getuid() !== 0) throw new Error("it makes network namespaces: run it as root");
    await prepare();
    await must("modprobe", ["vxlan"]).catch(() => {}); // built in, or weaver says what is missing
    await removeEverything();
    await demo();
    say("Done. Everything that was made is removed.");
    await end(0);
  } catch (error) {
    if (ending === undefined)
      console.error(`\ndemo FAILED: ${error instanceof Error ? error.message : error}`);
    await end(1);
  }
}
