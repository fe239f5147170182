import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type ClusterSetting,
  clusterSettings,
  settingsInProcess,
  settingsInText,
} from "../facts/kubernetes.ts";
import { judgeKubernetes, type KubernetesFacts } from "./kubernetes.ts";

const pods: ClusterSetting = {
  of: "pods",
  where: "/etc/kubernetes/manifests/kube-controller-manager.yaml",
  program: "kube-controller-manager",
  name: "--cluster-cidr",
  cidrs: ["10.32.0.0/12"],
};
const services: ClusterSetting = { ...pods, of: "services", name: "--service-cluster-ip-range" };
const facts: KubernetesFacts = {
  settings: [pods],
  range: { cidrs: ["10.32.0.0/12"], from: "default" },
  routes: [],
};

describe("what Kubernetes believes", () => {
  it.each([[["10.32.0.0/12"]], [["10.0.0.0/8"]], [["10.32.0.0/12", "fd00::/48"]], [["fd00::/48"]]])(
    "pods in %j hold the range",
    (cidrs) => {
      expect(judgeKubernetes({ ...facts, settings: [{ ...pods, cidrs }] }).findings).toEqual([]);
    },
  );

  it.each([[["10.244.0.0/16"]], [["10.32.0.0/16"]]])("pods in %j do not", (cidrs) => {
    const settings = [{ ...pods, cidrs }];
    expect(judgeKubernetes({ ...facts, settings }).findings).toMatchObject([
      { code: "cluster-cidr", command: `weave launch --ipalloc-range ${cidrs[0]}` },
    ]);
    const range = { cidrs: ["10.32.0.0/12"], from: "weaver" } as const;
    expect(judgeKubernetes({ ...facts, range, settings }).findings[0]?.command).toBe(
      `sed -i '/--cluster-cidr/s|${cidrs[0]}|10.32.0.0/12|' ${pods.where}`,
    );
  });

  it("services must be elsewhere", () => {
    const told = (cidr: string): string[] =>
      judgeKubernetes({ ...facts, settings: [{ ...services, cidrs: [cidr] }] }).findings.map(
        ({ code }) => code,
      );
    expect(told("10.96.0.0/12")).toEqual([]);
    expect(told("10.43.0.0/16")).toEqual(["service-cidr"]);
  });
});

describe("where it is said", () => {
  it.each([
    ["    - --cluster-cidr=10.244.0.0/16", "--cluster-cidr", ["10.244.0.0/16"]],
    ['    - "--cluster-cidr=10.244.0.0/16,fd00::/48"', "--cluster-cidr", ["10.244.0.0/16", "fd00::/48"]],
    ['clusterCIDR: "10.244.0.0/16"', "clusterCIDR", ["10.244.0.0/16"]],
    ["  podSubnet: 10.244.0.0/16", "podSubnet", ["10.244.0.0/16"]],
    ["cluster-cidr: 10.42.0.0/16", "cluster-cidr", ["10.42.0.0/16"]],
  ])("%j", (text, name, cidrs) => {
    expect(settingsInText(text, "file", "program")).toMatchObject([{ of: "pods", name, cidrs }]);
  });

  it.each(['clusterCIDR: ""', "# cluster-cidr", "- --allocate-node-cidrs=true"])("not in %j", (text) => {
    expect(settingsInText(text, "file", "program")).toEqual([]);
  });

  it("on command lines of its programs alone", () => {
    const process = { pid: 7, comm: "kube-proxy", here: true };
    const argv = ["/usr/local/bin/kube-proxy", "--cluster-cidr", "10.244.0.0/16"];
    expect(settingsInProcess({ ...process, argv })).toMatchObject([
      { where: "process 7", program: "kube-proxy", cidrs: ["10.244.0.0/16"] },
    ]);
    const server = ["/usr/bin/k3s", "server", "--cluster-cidr=10.42.0.0/16"];
    expect(settingsInProcess({ ...process, argv: server })).toMatchObject([{ program: "k3s server" }]);
    expect(settingsInProcess({ ...process, argv: ["/bin/grep", "--cluster-cidr=10.42.0.0/16"] })).toEqual([]);
  });

  it("in files below a root", () => {
    const root = mkdtempSync(join(tmpdir(), "weave-kubernetes-"));
    try {
      const put = (path: string, text: string): void => {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), text);
      };
      put("etc/kubernetes/manifests/kube-controller-manager.yaml", "    - --cluster-cidr=10.244.0.0/16\n");
      put("etc/kubernetes/manifests/.swp.yaml", "    - --cluster-cidr=10.1.0.0/16\n");
      const volume = "var/lib/kubelet/pods/0a-1b/volumes/kubernetes.io~configmap/kube-proxy/config.conf";
      put(volume, "clusterCIDR: 10.245.0.0/16\n");
      const found = clusterSettings(root, []);
      expect(found.map(({ program, cidrs }) => `${program} ${cidrs.join()}`)).toEqual([
        "kube-controller-manager 10.244.0.0/16",
        "kube-proxy 10.245.0.0/16",
      ]);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
