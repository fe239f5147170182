// What Kubernetes on this host was told of the addresses of pods and services: command lines of its processes, manifests of
// static pods, configuration of kube-proxy and kubeadm, arguments of k3s and MicroK8s. Read as text: only single values count.
import { basename, join } from "node:path";
import { pathsAlong, pathsIn, textOf } from "./files.ts";
import type { Process } from "./processes.ts";

/** One such setting. */
export interface ClusterSetting {
  /** Whose addresses it says. */
  readonly of: "pods" | "services";
  /** A path, or "process PID". */
  readonly where: string;
  /** The program, as far as that can be told: "kube-proxy". */
  readonly program: string;
  /** As it stands there: "--cluster-cidr", "podSubnet". */
  readonly name: string;
  readonly cidrs: readonly string[];
}

/** Names of one thing in flags and configuration files. */
const NAMES: Readonly<Record<string, ClusterSetting["of"]>> = {
  "cluster-cidr": "pods",
  clusterCIDR: "pods",
  podSubnet: "pods",
  "service-cluster-ip-range": "services",
  "service-cidr": "services",
  serviceSubnet: "services",
};
const PROGRAMS = /^(kube-(controller-manager|proxy|apiserver)|hyperkube|k3s(-server)?|rke2|kubelite)$/;

/** `--name=CIDR`, `--name CIDR`, `name: CIDR`, also in quotes and lists of arguments. */
const SETTING = new RegExp(
  `^([\\s"'-]*)(${Object.keys(NAMES).join("|")})["']?(?:\\s*[=:]\\s*|["',\\s]+)["']?([0-9a-fA-F.:/,]+/\\d+)`,
);

export function settingsInText(text: string, where: string, program: string): ClusterSetting[] {
  return text.split("\n").flatMap((line) => settingIn(line, where, program));
}

export function settingsInProcess({ pid, argv }: Process): ClusterSetting[] {
  const program = basename(argv[0] ?? "");
  const inner = program === "hyperkube" || program === "k3s" ? `${program} ${argv[1] ?? ""}`.trim() : program;
  if (!PROGRAMS.test(program)) return [];
  // A flag's value may be a word of its own.
  return argv.flatMap((word, at) =>
    settingIn(word.includes("=") ? word : `${word} ${argv[at + 1] ?? ""}`, `process ${pid}`, inner),
  );
}

function settingIn(line: string, where: string, program: string): ClusterSetting[] {
  const [, before = "", name = "", value = ""] = SETTING.exec(line) ?? [];
  const of = NAMES[name];
  if (of === undefined) return [];
  const flag = before.endsWith("--") ? `--${name}` : name;
  return [{ of, where, program, name: flag, cidrs: value.split(",").filter((cidr) => cidr !== "") }];
}

/** All that is found, files first. */
export function clusterSettings(root: string, processes: readonly Process[]): ClusterSetting[] {
  const files = [
    ...pathsIn(join(root, "etc/kubernetes/manifests"), /^[^.].*\.(ya?ml|json)$/),
    ...pathsIn(join(root, "etc/kubernetes"), /\.(ya?ml|conf)$/),
    ...["etc/rancher/k3s/config.yaml", "etc/rancher/rke2/config.yaml", "var/lib/kube-proxy/config.conf"].map(
      (path) => join(root, path),
    ),
    ...pathsIn(join(root, "var/snap/microk8s/current/args"), /^kube-/),
    ...pathsAlong(join(root, "var/lib/kubelet/pods"), [
      /./,
      "volumes/kubernetes.io~configmap/kube-proxy/config.conf",
    ]),
  ];
  return [
    ...files.flatMap((path) => settingsInText(textOf(path) ?? "", path, programOf(path))),
    ...processes.flatMap(settingsInProcess),
  ];
}

function programOf(path: string): string {
  if (path.includes("kube-proxy")) return "kube-proxy";
  const name = basename(path).replace(/\.\w+$/, "");
  return /^kube-/.test(name) ? name : (/\b(k3s|rke2)\b/.exec(path)?.[1] ?? "kubeadm");
}
