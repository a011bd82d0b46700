"""A small client of the Container Runtime Interface, by which the kubelet of Kubernetes commands a node's engine.

The numbers of the fields are facts of version `runtime.v1` of the interface. Only what the tests use is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE, SERVICE = "runtime.v1", "RuntimeService"
TIMEOUT = 120.0  # seconds, for one call
# Each message with its fields: `name=number`, then `:Type` unless it is a text, and `*` if it is repeated.
MESSAGES = """
PodSandboxMetadata name=1 uid=2 namespace=3 attempt=4:uint32
NamespaceOption network=1:int32 pid=2:int32 ipc=3:int32
LinuxSandboxSecurityContext namespace_options=1:NamespaceOption
LinuxPodSandboxConfig cgroup_parent=1 security_context=2:LinuxSandboxSecurityContext
PodSandboxConfig metadata=1:PodSandboxMetadata hostname=2 log_directory=3 linux=8:LinuxPodSandboxConfig
RunPodSandboxRequest config=1:PodSandboxConfig runtime_handler=2
RunPodSandboxResponse pod_sandbox_id=1
StopPodSandboxRequest pod_sandbox_id=1
StopPodSandboxResponse
RemovePodSandboxRequest pod_sandbox_id=1
RemovePodSandboxResponse
PodSandboxNetworkStatus ip=1
PodSandboxStatus id=1 state=3:int32 network=5:PodSandboxNetworkStatus
PodSandboxStatusRequest pod_sandbox_id=1
PodSandboxStatusResponse status=1:PodSandboxStatus
ContainerMetadata name=1 attempt=2:uint32
ImageSpec image=1
KeyValue key=1 value=2
LinuxContainerResources cpu_period=1:int64 cpu_quota=2:int64 cpu_shares=3:int64 memory_limit_in_bytes=4:int64
LinuxContainerSecurityContext namespace_options=3:NamespaceOption
Linux resources=1:LinuxContainerResources security_context=2:LinuxContainerSecurityContext
ContainerConfig metadata=1:ContainerMetadata image=2:ImageSpec command=3* envs=6:KeyValue* log_path=11 linux=15:Linux
CreateContainerRequest pod_sandbox_id=1 config=2:ContainerConfig sandbox_config=3:PodSandboxConfig
CreateContainerResponse container_id=1
StartContainerRequest container_id=1
StartContainerResponse
StopContainerRequest container_id=1 timeout=2:int64
StopContainerResponse
RemoveContainerRequest container_id=1
RemoveContainerResponse
ContainerStatus id=1 state=3:int32 exit_code=7:int32 reason=10
ContainerStatusRequest container_id=1
ContainerStatusResponse status=1:ContainerStatus
ExecSyncRequest container_id=1 cmd=2* timeout=3:int64
ExecSyncResponse stdout=1:bytes stderr=2:bytes exit_code=3:int32
UpdateContainerResourcesRequest container_id=1 linux=2:LinuxContainerResources
UpdateContainerResourcesResponse
VersionRequest version=1
VersionResponse version=1 runtime_name=2 runtime_version=3
"""
KINDS = {"": 9, "bytes": 12, "int32": 5, "int64": 3, "uint32": 13}  # FieldDescriptorProto.Type
MESSAGE, OPTIONAL, REPEATED = 11, 1, 3


def _pool() -> descriptor_pool.DescriptorPool:
    """Return the messages of MESSAGES, for protobuf."""
    file = descriptor_pb2.FileDescriptorProto(name="cri.proto", package=PACKAGE, syntax="proto3")
    for line in MESSAGES.strip().splitlines():
        name, *fields = line.split()
        message = file.message_type.add(name=name)
        for text in fields:
            label = REPEATED if text.endswith("*") else OPTIONAL
            field, _, rest = text.rstrip("*").partition("=")
            number, _, kind = rest.partition(":")
            made = message.field.add(name=field, number=int(number), label=label, type=KINDS.get(kind, MESSAGE))
            if kind not in KINDS:
                made.type_name = f".{PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


POOL = _pool()


class Client:
    """The calls of one engine's socket: ``client("StartContainer", container_id=...)`` returns the answer's fields."""

    def __init__(self, socket: Path) -> None:
        self.channel = grpc.insecure_channel(f"unix://{socket}")

    def __call__(self, call: str, **fields: Any) -> dict[str, Any]:
        """Make one call; grpc.RpcError: the engine refuses it."""
        request, answer = (_class(f"{call}{end}") for end in ("Request", "Response"))
        made: Any = self.channel.unary_unary(
            f"/{PACKAGE}.{SERVICE}/{call}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        found = made(json_format.ParseDict(fields, request()), timeout=TIMEOUT)
        fields = json_format.MessageToDict(found, preserving_proto_field_name=True)
        return dict(fields)

    def close(self) -> None:
        """Close the socket."""
        self.channel.close()


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))
