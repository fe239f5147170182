// What Kubernetes asks of a network, asked through a containerd: the tests that are the same for each version. Two
// nodes with a daemon and a containerd each; pods are run as kubelet runs them.
import { describe, expect, it } from "vitest";
import { eventually } from "../kernel/support/namespaces.ts";
import { expectNothingLeft, leftoversOf } from "../support/containerd/leftovers.ts";
import { endAll, type Nodes } from "../support/containerd/nodes.ts";
import { Pod } from "../support/containerd/pod.ts";
import { sourceSeen } from "../support/containerd/source-seen.ts";
import { serve } from "../support/images.ts";
import { shapersOf } from "../support/pod-effects.ts";
import { startPinging } from "../support/traffic.ts";

/** Registers them. */
export function podTests({ lab, node }: Nodes): void {
  describe("a pod", () => {
    it("has the address that PodSandboxStatus shows, and reaches pods and hosts of both nodes", async () => {
      const [here, there] = [node(1), node(2)];
      const before = await leftoversOf(here.machine);
      const [one, neighbour, far] = await Promise.all(
        [here, here, there].map((at) => Pod.runWithContainer(at)),
      );
      if (one === undefined || neighbour === undefined || far === undefined) throw new Error("three pods");

      expect(await one.addressesInside()).toEqual([`${one.address}/12`]);
      expect(new Set([one, neighbour, far].map(({ address }) => address)).size).toBe(3);
      expect(await one.pings(neighbour.address)).toBe(true);
      await eventually("pods of two nodes reach each other", () => one.pings(far.address));
      expect(await far.pings(one.address)).toBe(true);
      for (const { address } of [one, neighbour]) {
        expect(await here.machine.namespace.succeeds(`ping -n -c 1 -W 1 ${address}`)).toBe(true);
      }
      const [exposed] = (await here.machine.status()).exposed;
      expect(await one.pings(String(exposed?.cidr.split("/")[0]))).toBe(true);
      expect(await one.pings(there.machine.address)).toBe(true);
      const loopback = await one.exec("ping -c 1 -W 1 127.0.0.1");
      expect(loopback.exit).toBe(0);

      for (const pod of [one, neighbour, far]) await pod.end();
      await expectNothingLeft(here.machine, before);
    });

    it("is given back whole by the first Stop; the second and Remove find nothing to do", async () => {
      const { machine, cri } = node(1);
      const before = await leftoversOf(machine);
      const pod = await Pod.runWithContainer(node(1));
      expect((await leftoversOf(machine)).veths).toContain(pod.hostIfname);

      await pod.stop();
      const after = await machine.status();
      expect(after.endpoints.map(({ address }) => address)).not.toContain(pod.address);
      expect(await machine.veths()).toEqual(before.veths);
      const { status } = await cri.call("PodSandboxStatus", { pod_sandbox_id: pod.id });
      expect(status.state).toBe("SANDBOX_NOTREADY");
      await pod.stop();
      await pod.remove();
      await pod.remove();
      await expectNothingLeft(machine, before);
    });

    it("whose namespace is gone, as after a reboot, can be ended and gives its address back", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const pod = await Pod.run(node(1));
      const [namespace = "none"] = machine.networkNamespaces();
      await machine.runOk(["ip", "netns", "delete", namespace]);
      await pod.end();
      await expectNothingLeft(machine, before);
    });

    it("comes in tens at once, each with an address of its own", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const pods = await Promise.all(Array.from({ length: 10 }, () => Pod.run(node(1))));
      expect(new Set(pods.map(({ address }) => address)).size).toBe(10);
      await pods[0]?.startContainer();
      for (const { address } of pods) expect(await pods[0]?.pings(address)).toBe(true);
      await Promise.all(pods.map((pod) => pod.end()));
      await expectNothingLeft(machine, before);
    });

    it("resolves names as its configuration says", async () => {
      const pod = await Pod.runWithContainer(node(1), {
        dns: { servers: ["10.96.0.10", "198.51.100.1"], searches: ["default.svc.cluster.local"] },
      });
      const { stdout } = await pod.exec("cat /etc/resolv.conf");
      expect(stdout.trim().split("\n").sort()).toEqual([
        "nameserver 10.96.0.10",
        "nameserver 198.51.100.1",
        "search default.svc.cluster.local",
      ]);
      await pod.end();
    });
  });

  describe("hostPort", () => {
    const ports = [{ container_port: 80, host_port: 8080 }];

    it("leads to the pod from other hosts, from the host, from pods and from the pod itself", async () => {
      const [here, there] = [node(1).machine, node(2).machine];
      const before = await leftoversOf(here);
      const pod = await Pod.runWithContainer(node(1), { ports }, serve(80));
      const neighbour = await Pod.runWithContainer(node(1));
      const outside = await lab.addOutsider();
      await eventually("the server answers", () =>
        sourceSeen(here.namespace, pod.address, 80).catch(() => undefined),
      );

      expect(await sourceSeen(outside.namespace, here.address, 8080)).toBe(outside.address);
      expect(await sourceSeen(there.namespace, here.address, 8080)).toBe(there.address);
      for (const address of [here.address, "127.0.0.1"]) {
        expect(await sourceSeen(here.namespace, address, 8080)).not.toBe("");
      }
      for (const from of [pod, neighbour]) {
        const answer = await from.exec(`timeout 5 wget -q -O - http://${here.address}:8080/cgi-bin/name`);
        expect(answer).toMatchObject({ exit: 0, stdout: expect.stringContaining("pod-") });
      }
      // The port of another host is not taken.
      await expect(sourceSeen(outside.namespace, there.address, 8080)).rejects.toThrow("ECONNREFUSED");

      await pod.end();
      await neighbour.end();
      await expect(sourceSeen(outside.namespace, here.address, 8080)).rejects.toThrow("ECONNREFUSED");
      await expectNothingLeft(here, before);
    });

    it("may be of one address of the host, and of every protocol", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const wishes = [
        { container_port: 80, host_port: 8082, host_ip: "127.0.0.1" },
        { container_port: 53, host_port: 5353, protocol: "UDP" },
        { container_port: 99, host_port: 9900, protocol: "SCTP" },
      ] as const;
      const pod = await Pod.runWithContainer(node(1), { ports: wishes }, serve(80));
      await eventually("the server answers", () =>
        sourceSeen(machine.namespace, "127.0.0.1", 8082).catch(() => undefined),
      );
      await expect(sourceSeen(machine.namespace, machine.address, 8082)).rejects.toThrow("ECONNREFUSED");
      const { rules } = await leftoversOf(machine);
      expect(rules).toContain(`udp . 5353 : ${pod.address} . 53`);
      expect(rules).toContain(`sctp . 9900 : ${pod.address} . 99`);
      await pod.end();
      await expectNothingLeft(machine, before);
    });

    it("that is taken is refused, and stays with its pod", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const holder = await Pod.runWithContainer(node(1), { ports }, serve(80));
      await expect(Pod.run(node(1), { ports })).rejects.toThrow(
        `port tcp 8080 of this host leads to weave/${holder.id}/eth0`,
      );
      await eventually("the server answers", () =>
        sourceSeen(node(2).machine.namespace, machine.address, 8080).catch(() => undefined),
      );
      await endAll(node(1));
      await expectNothingLeft(machine, before);
      // Free again.
      await (await Pod.run(node(1), { ports })).end();
    });
  });

  describe("bandwidth", () => {
    it("annotations become a tbf towards the pod and one behind an ifb from it", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const pod = await Pod.runWithContainer(node(1), {
        annotations: {
          "kubernetes.io/ingress-bandwidth": "2M",
          "kubernetes.io/egress-bandwidth": "3M",
        },
      });
      expect([...(await shapersOf(machine.namespace))]).toEqual([
        [pod.hostIfname, 2_000_000],
        [pod.hostIfname.replace("vw", "vi"), 3_000_000],
      ]);
      expect(await machine.namespace.succeeds(`ping -n -c 1 -W 1 ${pod.address}`)).toBe(true);
      await pod.end();
      await expectNothingLeft(machine, before);
    });
  });

  describe("without its daemon", () => {
    it("a node starts no pod, and says how to mend it; pods can be ended, and the address is free later", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const pod = await Pod.runWithContainer(node(1));
      await machine.weaveOk("stop");

      await expect(Pod.run(node(1))).rejects.toThrow("weave launch");
      await endAll(node(1), [pod]);
      await pod.end();
      expect(await machine.veths()).toEqual(before.veths);

      await machine.launch();
      await lab.untilAllOk();
      await expectNothingLeft(machine, before);
    });

    it("pods go on, and are ended when it is back", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const pod = await Pod.runWithContainer(node(1));
      const far = await Pod.runWithContainer(node(2));
      await eventually("pods of two nodes reach each other", () => pod.pings(far.address));
      const pinging = await startPinging(machine.namespace, far.address);
      await machine.weaveOk("stop");
      expect(await far.pings(pod.address)).toBe(true);
      await machine.launch();
      await lab.untilAllOk();
      expect((await pinging.stop()).lost).toEqual([]);
      expect((await machine.status()).endpoints.map(({ address }) => address)).toContain(pod.address);
      expect(await far.pings(pod.address)).toBe(true);
      await pod.end();
      await far.end();
      await expectNothingLeft(machine, before);
    });
  });

  describe("containerd", () => {
    it("may be restarted under running pods", async () => {
      const { machine } = node(1);
      const before = await leftoversOf(machine);
      const pod = await Pod.runWithContainer(node(1));
      await node(1).restart();
      expect(await machine.namespace.succeeds(`ping -n -c 1 -W 1 ${pod.address}`)).toBe(true);
      const { status } = await node(1).cri.call("PodSandboxStatus", { pod_sandbox_id: pod.id });
      expect(status).toMatchObject({ state: "SANDBOX_READY", network: { ip: pod.address } });
      await pod.end();
      await expectNothingLeft(machine, before);
    });
  });
}
