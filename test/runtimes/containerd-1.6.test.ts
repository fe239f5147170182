// Debian's containerd attaches pods through the installed plugin.
import { INSTALLED } from "../support/containerd/containerd.ts";
import { useNodes } from "../support/containerd/nodes.ts";
import { configurationTests } from "./configuration.ts";
import { podTests } from "./pods.ts";

const nodes = useNodes(INSTALLED);
podTests(nodes);
configurationTests(nodes);
