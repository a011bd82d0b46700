"""The table of all fields of an OCI config.json that have a meaning on Linux, with the kind of value of each field.

Each line is a field: its path, and its kind. In a path, ``[]`` stands for each entry of a list, ``*`` for each name in
a map, and ``{a,b}`` for both of two fields. A kind is a type, a list of types in brackets, allowed values with ``|``
between them, or ``/``: an absolute path. An ``id`` is the number of a user or a group: the largest number of 32 bits is
none, because setresuid(2) takes it as "do not change", and the process would stay root. A ``!`` marks a required field.
The table is plain text, so that it can be compared with the specification.
"""

from __future__ import annotations

TEXT = """
ociVersion                                           str!
process                                              object
process.terminal                                     bool
process.consoleSize                                  object
process.consoleSize.height                           uint16!
process.consoleSize.width                            uint16!
process.user                                         object
process.user.uid                                     id
process.user.gid                                     id
process.user.umask                                   uint32
process.user.additionalGids                          [id]
process.args                                         [str]!
process.env                                          [str]
process.cwd                                          /!
process.capabilities                                 object
process.capabilities.bounding                        [str]
process.capabilities.effective                       [str]
process.capabilities.permitted                       [str]
process.capabilities.inheritable                     [str]
process.capabilities.ambient                         [str]
process.rlimits                                      [object]
process.rlimits[].type                               str!
process.rlimits[].soft                               uint64!
process.rlimits[].hard                               uint64!
process.noNewPrivileges                              bool
process.oomScoreAdj                                  int32
process.apparmorProfile                              str
process.selinuxLabel                                 str
process.scheduler                                    object
process.scheduler.policy                             str!
process.scheduler.nice                               int32
process.scheduler.priority                           int32
process.scheduler.flags                              [str]
process.scheduler.runtime                            uint64
process.scheduler.deadline                           uint64
process.scheduler.period                             uint64
process.ioPriority                                   object
process.ioPriority.class                             IOPRIO_CLASS_RT|IOPRIO_CLASS_BE|IOPRIO_CLASS_IDLE!
process.ioPriority.priority                          int32
process.execCPUAffinity                              object
process.execCPUAffinity.initial                      str
process.execCPUAffinity.final                        str
root                                                 object!
root.path                                            str!
root.readonly                                        bool
hostname                                             str
domainname                                           str
mounts                                               [object]
mounts[].destination                                 str!
mounts[].type                                        str
mounts[].source                                      str
mounts[].options                                     [str]
mounts[].{uidMappings,gidMappings}                   [object]
mounts[].{uidMappings,gidMappings}[].containerID     uint32!
mounts[].{uidMappings,gidMappings}[].hostID          uint32!
mounts[].{uidMappings,gidMappings}[].size            uint32!
hooks                                                object
hooks.{prestart,createRuntime,createContainer,startContainer,poststart,poststop} [object]
hooks.{prestart,createRuntime,createContainer,startContainer,poststart,poststop}[].path /!
hooks.{prestart,createRuntime,createContainer,startContainer,poststart,poststop}[].args [str]
hooks.{prestart,createRuntime,createContainer,startContainer,poststart,poststop}[].env [str]
hooks.{prestart,createRuntime,createContainer,startContainer,poststart,poststop}[].timeout int32
annotations                                          object
annotations.*                                        str
linux                                                object
linux.namespaces                                     [object]
linux.namespaces[].type                              pid|network|mount|ipc|uts|user|cgroup|time!
linux.namespaces[].path                              /
linux.{uidMappings,gidMappings}                      [object]
linux.{uidMappings,gidMappings}[].containerID        uint32!
linux.{uidMappings,gidMappings}[].hostID             uint32!
linux.{uidMappings,gidMappings}[].size               uint32!
linux.timeOffsets                                    object
linux.timeOffsets.*                                  object
linux.timeOffsets.*.secs                             int64
linux.timeOffsets.*.nanosecs                         uint32
linux.devices                                        [object]
linux.devices[].path                                 /!
linux.devices[].type                                 c|b|u|p!
linux.devices[].major                                int64
linux.devices[].minor                                int64
linux.devices[].fileMode                             uint32
linux.devices[].uid                                  id
linux.devices[].gid                                  id
linux.cgroupsPath                                    str
linux.resources                                      object
linux.resources.devices                              [object]
linux.resources.devices[].allow                      bool!
linux.resources.devices[].type                       a|b|c|
linux.resources.devices[].major                      int64
linux.resources.devices[].minor                      int64
linux.resources.devices[].access                     str
linux.resources.memory                               object
linux.resources.memory.limit                         int64
linux.resources.memory.reservation                   int64
linux.resources.memory.swap                          int64
linux.resources.memory.kernel                        int64
linux.resources.memory.kernelTCP                     int64
linux.resources.memory.swappiness                    uint64
linux.resources.memory.disableOOMKiller              bool
linux.resources.memory.useHierarchy                  bool
linux.resources.memory.checkBeforeUpdate             bool
linux.resources.cpu                                  object
linux.resources.cpu.shares                           uint64
linux.resources.cpu.quota                            int64
linux.resources.cpu.burst                            uint64
linux.resources.cpu.period                           uint64
linux.resources.cpu.realtimeRuntime                  int64
linux.resources.cpu.realtimePeriod                   uint64
linux.resources.cpu.cpus                             str
linux.resources.cpu.mems                             str
linux.resources.cpu.idle                             int64
linux.resources.pids                                 object
linux.resources.pids.limit                           int64
linux.resources.blockIO                              object
linux.resources.blockIO.weight                       uint16
linux.resources.blockIO.weightDevice                 [object]
linux.resources.blockIO.weightDevice[].major         int64!
linux.resources.blockIO.weightDevice[].minor         int64!
linux.resources.blockIO.weightDevice[].weight        uint16
linux.resources.blockIO.throttle{Read,Write}{Bps,IOPS}Device [object]
linux.resources.blockIO.throttle{Read,Write}{Bps,IOPS}Device[].major int64!
linux.resources.blockIO.throttle{Read,Write}{Bps,IOPS}Device[].minor int64!
linux.resources.blockIO.throttle{Read,Write}{Bps,IOPS}Device[].rate uint64!
linux.resources.hugepageLimits                       [object]
linux.resources.hugepageLimits[].pageSize            str!
linux.resources.hugepageLimits[].limit               uint64!
linux.resources.network                              object
linux.resources.network.classID                      uint32
linux.resources.network.priorities                   [object]
linux.resources.network.priorities[].name            str!
linux.resources.network.priorities[].priority        uint32!
linux.resources.rdma                                 object
linux.resources.rdma.*                               object
linux.resources.rdma.*.hcaHandles                    uint32
linux.resources.rdma.*.hcaObjects                    uint32
linux.resources.unified                              object
linux.resources.unified.*                            str
linux.rootfsPropagation                              str
linux.seccomp                                        object
linux.seccomp.defaultAction                          str!
linux.seccomp.defaultErrnoRet                        uint32
linux.seccomp.architectures                          [str]
linux.seccomp.flags                                  [str]
linux.seccomp.listenerPath                           str
linux.seccomp.listenerMetadata                       str
linux.seccomp.syscalls                               [object]
linux.seccomp.syscalls[].names                       [str]!
linux.seccomp.syscalls[].action                      str!
linux.seccomp.syscalls[].errnoRet                    uint32
linux.seccomp.syscalls[].args                        [object]
linux.seccomp.syscalls[].args[].index                uint32!
linux.seccomp.syscalls[].args[].value                uint64!
linux.seccomp.syscalls[].args[].valueTwo             uint64
linux.seccomp.syscalls[].args[].op                   str!
linux.sysctl                                         object
linux.sysctl.*                                       str
linux.maskedPaths                                    [/]
linux.readonlyPaths                                  [/]
linux.mountLabel                                     str
linux.memoryPolicy                                   object
linux.memoryPolicy.mode                              str!
linux.memoryPolicy.nodes                             str
linux.memoryPolicy.flags                             [str]
linux.netDevices                                     object
linux.netDevices.*                                   object
linux.netDevices.*.name                              str
linux.intelRdt                                       object
linux.intelRdt.closID                                str
linux.intelRdt.schemata                              [str]
linux.intelRdt.l3CacheSchema                         str
linux.intelRdt.memBwSchema                           str
linux.intelRdt.enableMonitoring                      bool
linux.personality                                    object
linux.personality.domain                             LINUX|LINUX32!
linux.personality.flags                              [str]
"""

# Fields that tinybox knows, but refuses: without them the container would not be the one that config.json describes.
REFUSED = {
    "windows": "this is Linux",
    "solaris": "this is Linux",
    "zos": "this is Linux",
    "freebsd": "this is Linux",
    "vm": "tinybox makes containers, not virtual machines",
    "process.commandLine": "is for Windows: on Linux it is process.args",
    "linux.intelRdt.enableCMT": "was replaced by enableMonitoring in version 1.3",
    "linux.intelRdt.enableMBM": "was replaced by enableMonitoring in version 1.3",
    "linux.resources.blockIO.leafWeight": "is for the scheduler CFQ, which Linux 5.0 has removed",
    "linux.resources.blockIO.weightDevice[].leafWeight": "is for the scheduler CFQ, which Linux 5.0 has removed",
}
