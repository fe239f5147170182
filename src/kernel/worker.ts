// Entry of the kernel thread: serves the Kernel port to the main thread. Bundled on its own (dist/lib/kernel-worker.js).
// Operations run side by side here; what must not is ordered inside the kernel (apply has its own queue).
import { parentPort, workerData } from "node:worker_threads";
import { createLinuxKernel, type LinuxKernelOptions } from "./linux.ts";
import { type DriftNotice, encodeError, type Reply, type Request } from "./protocol.ts";

if (parentPort === null) throw new Error("kernel worker: started as a program, not as a worker thread");
const port = parentPort;
// From remote.ts of the same build, which types it.
const kernel = createLinuxKernel(workerData as LinuxKernelOptions);

port.on("message", (request: Request) => {
  void serve(request).then((reply) => port.postMessage(reply));
});

async function serve(request: Request): Promise<Reply> {
  const { id } = request;
  try {
    return { id, outcome: "done", value: await call(request) };
  } catch (error) {
    return { id, outcome: "refused", error: encodeError(error) };
  }
}

function call(request: Request): Promise<unknown> {
  switch (request.operation) {
    case "inspect":
      return kernel.inspect();
    case "linkMtu":
      return kernel.linkMtu(...request.args);
    case "apply":
      return kernel.apply(...request.args);
    case "observe":
      return kernel.observe();
    case "watch":
      return kernel.watch((drift) => port.postMessage({ drift } satisfies DriftNotice));
    case "faults":
      return kernel.faults();
    case "openNetns":
      return kernel.openNetns(...request.args);
    case "closeNetns":
      return kernel.closeNetns(...request.args);
    case "attach":
      return kernel.attach(...request.args);
    case "detach":
      return kernel.detach(...request.args);
    case "shapingFaults":
      return kernel.shapingFaults(...request.args);
    case "shape":
      return kernel.shape(...request.args);
    case "look":
      return kernel.look(...request.args);
    case "hostEnds":
      return kernel.hostEnds();
    case "deadNetns":
      return kernel.deadNetns(...request.args);
    case "clear":
      return kernel.clear(...request.args);
    case "close":
      return kernel.close();
  }
}
