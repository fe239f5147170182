// Debian's containerd attaches pods through the installed plugin.
import { INSTALLED } from "../support/containerd/containerd.ts";
import { podTests } from "./pods.ts";

podTests(INSTALLED);
