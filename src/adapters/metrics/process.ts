// What the process takes, under the names all Prometheus clients use. The client's own collection of these keeps a timer
// running a hundred times a second; here it is read when somebody asks.
import { readdirSync } from "node:fs";
import { Counter, Gauge, type Registry } from "prom-client";

/** A function that shows the process of now in a registry. */
export function createProcessGauges(registry: Registry): () => void {
  const registers = [registry];
  const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers });
  const resident = gauge("process_resident_memory_bytes", "Resident memory");
  const heap = gauge("nodejs_heap_size_used_bytes", "Heap in use");
  const started = gauge("process_start_time_seconds", "Start of the process, seconds since the epoch");
  const descriptors = gauge("process_open_fds", "Open file descriptors");
  const cpu = new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time of the process, user and system",
    registers,
  });
  return () => {
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    resident.set(rss);
    heap.set(heapUsed);
    started.set(Date.now() / 1000 - process.uptime());
    descriptors.set(readdirSync("/proc/self/fd").length);
    cpu.reset();
    cpu.inc((user + system) / 1e6);
  };
}
