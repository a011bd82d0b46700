"""The command lines whose exit status docker_status_facts.py asks docker's client for.

LINES are whole lines. Each line of VALUES has options for both `create` and `run`; ONE_VERB has whole lines again.
"""

from __future__ import annotations

LINES = """
run
run --nosuch busybox
run -m nonsense busybox
run --pull often busybox
run --pull never missing
run -it missing
create
create --nosuch busybox
create -m nonsense busybox
create --pull often busybox
create --pull never missing
create --health-interval -1s busybox
create --health-interval 1 busybox
create --health-retries -1 busybox
create --label =value busybox
create --ulimit nosuch=1 busybox
create -a nosuch busybox
exec
exec missing
exec --nosuch missing true
exec missing true
exec -d missing true
start
start missing
start missing other
start -a missing
start -a missing other
rmi
rmi missing
rmi missing other
rmi -f missing
rmi --nosuch missing
rm
rm missing
rm missing other
rm -f missing
rm -f missing other
save missing
save missing other
save -o /tmp missing
load -i /nosuch
load --nosuch
import
import /nosuch
cp
cp a b
cp missing:/etc missing:/etc
cp missing:/etc .
cp /etc/hostname missing:/
diff missing
wait missing
wait missing other
kill missing
kill missing other
kill -s NOSUCH missing
stop missing
stop missing other
stop -t nonsense missing
restart missing
pause missing
unpause missing
rename missing
rename missing new
update missing
update -m 64m missing
update -m nonsense missing
logs
logs missing
logs missing other
logs --tail
top missing
stats --no-stream missing
attach missing
port missing
port missing 80
export missing
commit missing
history missing
tag missing new
tag missing
inspect
inspect missing
inspect --type image missing
inspect --type nonsense missing
inspect --format {{ missing
inspect --format {{nosuch}} missing
image inspect --format {{end}} missing
container inspect --format {{if}} missing
volume inspect --format {{ missing
network inspect --format {{ missing
container inspect missing
image inspect missing
image rm missing
volume inspect missing
volume rm missing
volume rm missing other
network inspect missing
network rm missing
network rm -f missing
network rm missing other
network rm -f missing
network connect missing other
network disconnect missing other
ps extra
ps --nosuch
ps --filter nonsense
ps --format {{nosuch
images one two
images --filter nonsense
volume ls --filter nonsense
network ls --filter nonsense
events --filter nonsense
events --until 0s --format {{nosuch
system prune -f --filter nonsense
system prune -f --volumes --filter until=1h
builder prune -f --filter nonsense
info extra
info --format {{
version --format {{
version extra
build
build --nosuch .
nosuch
container
container nosuch
container ls --nosuch
image nosuch
volume nosuch
network nosuch
system nosuch
--nosuch
--version
help ps
run --help
"""

VALUES = """
--restart nosuch
--restart always:3
--restart on-failure:x
--restart on-failure:-1
--rm --restart always
-m 1m
-m nonsense
-m 64m --memory-swap 32m
--memory-swap 64m
--memory-swappiness 200
--memory-swappiness x
--memory-reservation 1k
-m 64m --memory-reservation 128m
--oom-score-adj 5000
--oom-score-adj x
--security-opt x=1
--security-opt nonsense
--security-opt seccomp=/nosuch
--security-opt no-new-privileges=maybe
--security-opt systempaths=x
-v /tmp:/x:nosuch
-v /tmp:/x:ro,rw
-v /tmp:x
-v a:b:c:d
-v :/x
-v b@d:/x
-v named:/x:shared
--mount type=nosuch,target=/x
--mount type=bind,target=/x
--mount type=bind,source=/nosuch,target=/x
--mount type=bind,source=/tmp
--mount type=bind,source=/tmp,target=x
--mount type=bind,source=/tmp,target=/x,nosuch=1
--mount type=bind,source=/tmp,target=/x,bind-propagation=nosuch
--mount type=tmpfs,target=/x,source=/tmp
--mount type=tmpfs,target=/x,tmpfs-size=x
--mount type=volume,target=/x,tmpfs-size=1m
--mount type=volume,source=/abs,target=/x
--mount nonsense
--tmpfs x
--log-driver nosuch
--log-driver none --log-opt max-size=1m
--log-opt nosuch=1
--log-opt nonsense
--runtime nosuch
--cpu-period 1
--cpu-period x
--cpu-quota 1
--cpus 1 --cpu-quota 10000
--cpus 1000
--cpus x
--cpus -1
--cpuset-cpus 9999
--cpuset-cpus x
--cpuset-mems x
--pids-limit x
--blkio-weight x
--blkio-weight-device /dev/null
--blkio-weight-device /dev/null:1
--device-read-bps /dev/null:x
--device-read-bps nosuch
--device-write-iops /dev/null:x
--device /dev/null:/dev/x:q
--device nosuch
--device-cgroup-rule nonsense
--cap-add NOSUCH
-w rel
-e =x
--env-file /nosuch
--ulimit nofile=2:1
--ulimit nosuch=1
--sysctl kernel.panic=1
--shm-size -1
--pid nosuch
--pid container:nosuch
--uts nosuch
--network ''
--network host --network none
--network name=none,nosuch=1
--network name=none,ip=x
--network none --network-alias x
--network none --mac-address nosuch
--network container:nosuch --hostname x
--link a:b:c
-p x
--expose x
--dns x
--add-host x
--name -
--cidfile /nosuch/x
--cidfile /tmp
--volumes-from nosuch
--volumes-from nosuch:q
--volumes-from ''
--stop-signal NOSUCH
--stop-timeout x
--health-cmd true --health-interval 1
--health-cmd true --health-interval 1us
--health-cmd true --health-retries -1
--no-healthcheck --health-cmd true
--no-healthcheck --health-interval 1s
-a nosuch
"""

ONE_VERB = """
run --device /dev/nosuch busybox true
run --device-read-bps /dev/nosuch:1m busybox true
run --detach-keys nope busybox true
run --detach-keys ctrl- busybox true
run -d -a stdout busybox true
create -d busybox true
create --detach busybox true
create -d=false busybox true
create --sig-proxy=false busybox true
create --detach-keys ctrl-a busybox true
"""
