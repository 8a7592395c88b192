"""Numbers of the Linux system calls that the filter for a student's process knows.

Each line is a call, its number on x86-64, and its number on aarch64; ``-`` where there is none.

References
----------
Linux, ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h``.
"""

# what a student's process has no need of
REFUSED = """
# signals, and what can make the kernel send one
kill 62 129
tkill 200 130
tgkill 234 131
rt_sigqueueinfo 129 138
rt_tgsigqueueinfo 297 240
pidfd_send_signal 424 424
# processes: new ones, other ones, and what the grader ends by
execve 59 221
execveat 322 281
setpgid 109 154
setsid 112 157
prctl 157 167
seccomp 317 277
ptrace 101 117
process_vm_readv 310 270
process_vm_writev 311 271
pidfd_open 434 434
pidfd_getfd 438 438
process_madvise 440 440
process_mrelease 448 448
kcmp 312 272
migrate_pages 256 238
move_pages 279 239
setrlimit 160 164
setpriority 141 140
sched_setscheduler 144 119
sched_setparam 142 118
sched_setattr 314 274
sched_setaffinity 203 122
ioprio_set 251 30
personality 135 92
# rights and namespaces
setuid 105 146
setgid 106 144
setreuid 113 145
setregid 114 143
setgroups 116 159
setresuid 117 147
setresgid 119 149
setfsuid 122 151
setfsgid 123 152
capset 126 91
unshare 272 97
setns 308 268
mount 165 40
umount2 166 39
pivot_root 155 41
chroot 161 51
open_tree 428 428
move_mount 429 429
fsopen 430 430
fsconfig 431 431
fsmount 432 432
fspick 433 433
mount_setattr 442 442
open_by_handle_at 304 265
# what leaves the machine, or stays when the process has ended
socket 41 198
socketpair 53 199
shmget 29 194
semget 64 190
msgget 68 186
mq_open 240 180
shmat 30 196
shmctl 31 195
semctl 66 191
semop 65 193
semtimedop 220 192
msgctl 71 187
msgsnd 69 189
msgrcv 70 188
mq_unlink 241 181
memfd_create 319 279
memfd_secret 447 447
add_key 248 217
request_key 249 218
keyctl 250 219
# other ways into the kernel, and what only root may
bpf 321 280
perf_event_open 298 241
userfaultfd 323 282
io_setup 206 0
io_uring_setup 425 425
io_uring_enter 426 426
io_uring_register 427 427
fanotify_init 300 262
reboot 169 142
vhangup 153 58
kexec_load 246 104
kexec_file_load 320 294
init_module 175 105
finit_module 313 273
delete_module 176 106
swapon 167 224
swapoff 168 225
acct 163 89
quotactl 179 60
quotactl_fd 443 443
sethostname 170 161
setdomainname 171 162
settimeofday 164 170
clock_settime 227 112
adjtimex 159 171
clock_adjtime 305 266
syslog 103 116
fork 57 -
vfork 58 -
modify_ldt 154 -
iopl 172 -
ioperm 173 -
# what changes files, other than through a file that is open already
"""

# what changes files, other than through one that is open already
CHANGES_FILES = """
mknodat 259 33
mkdirat 258 34
unlinkat 263 35
symlinkat 266 36
linkat 265 37
renameat 264 38
renameat2 316 276
truncate 76 45
fallocate 285 47
fchmod 91 52
fchmodat 268 53
fchownat 260 54
fchown 93 55
utimensat 280 88
setxattr 188 5
lsetxattr 189 6
fsetxattr 190 7
removexattr 197 14
lremovexattr 198 15
fremovexattr 199 16
creat 85 -
rename 82 -
mkdir 83 -
rmdir 84 -
link 86 -
unlink 87 -
symlink 88 -
chmod 90 -
chown 92 -
lchown 94 -
utime 132 -
mknod 133 -
utimes 235 -
futimesat 261 -
"""

# what is judged by its arguments
JUDGED = """
clone 56 220
fcntl 72 25
ioctl 16 29
prlimit64 302 261
open 2 -
openat 257 56
"""

# what hides its arguments behind a pointer: the C library does without
NOT_THERE = """
clone3 435 435
openat2 437 437
"""


def numbers(table: str, machine: str) -> dict[str, int]:
    """Return a table's calls on ``x86_64`` or ``aarch64`` with their numbers."""
    column = {"x86_64": 1, "aarch64": 2}[machine]
    rows = [line.split() for line in table.strip().splitlines() if not line.startswith("#")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
