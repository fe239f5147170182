#!/bin/sh
# Process 1 of a test machine. Gives it directories of its own where container runtimes look, then waits and reaps.
#
#   machine-init.sh DIR CONF BIN CACHE     DIR: for what is covered; the others: what /etc/cni/net.d, /opt/cni/bin
#                                          and /var/lib/cni are here
#
# Says "ready" when everything is in place. All mounts are private to the machine and end with it.
set -eu
dir=$1
covered=0

# In a chroot, runc and setns(2) would begin at the root outside it. So what is / here becomes the root of this mount
# namespace, by a static program, since outside there may be no other.
if [ -z "${WEAVE_MACHINE-}" ]; then
    mkdir -p "$dir/root" "$dir/outside"
    mount --rbind / "$dir/root"
    export WEAVE_MACHINE="$dir"
    exec 3<"$dir/root"
    exec nsenter --mount=/proc/self/ns/mnt /proc/self/fd/3/bin/busybox sh -c '
        cd /proc/self/fd/3 && ./bin/busybox pivot_root . "./$WEAVE_MACHINE/outside" &&
            exec ./bin/busybox chroot . /bin/sh "$@"' sh "$0" "$@"
fi
umount --lazy "$dir/outside"
exec 3<&-

# A directory whose entries are links to what was there, and in which the machine may make others.
cover() {
    covered=$((covered + 1))
    below=$dir/covered-$covered
    mkdir -p "$below"
    mount --rbind "$1" "$below"
    mount -t tmpfs -o mode=755 tmpfs "$1"
    for entry in "$below"/* "$below"/.[!.]*; do
        if [ -e "$entry" ] || [ -L "$entry" ]; then ln -s "$entry" "$1/"; fi
    done
}

# Show directory $1 at $2, which need not exist.
place() {
    if [ ! -d "$2" ]; then
        parent=$(dirname "$2")
        while [ ! -d "$parent" ]; do parent=$(dirname "$parent"); done
        cover "$parent"
        mkdir -p "$2"
    fi
    mount --bind "$1" "$2"
}

# Named namespaces, runc's and the shims' state. Those of others are let go: mounted here, they would outlive them.
umount --recursive --lazy /run/netns 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns
place "$2" /etc/cni/net.d
place "$3" /opt/cni/bin
place "$4" /var/lib/cni

# A build container may have no cgroups, or may only look at them. Each controller belongs to a hierarchy of its own
# (version 1), or all to that of version 2 (number 0).
cgroups=$(awk '$3 ~ /^cgroup2?$/ { print $2; exit }' /proc/mounts)
if [ -z "$cgroups" ] || ! [ -w "$cgroups" ]; then
    mountpoint -q /sys || mount -t sysfs sysfs /sys
    controllers=$(awk '$2 > 0 && $4 == 1 { print $1 }' /proc/cgroups)
    if [ -z "$controllers" ]; then
        mount -t cgroup2 cgroup2 /sys/fs/cgroup
    else
        mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
        for controller in $controllers; do
            mkdir "/sys/fs/cgroup/$controller"
            mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
        done
    fi
fi

echo ready
# Who ignores the end of children has none to collect; orphans become children of process 1.
exec env --ignore-signal=CHLD sleep infinity
