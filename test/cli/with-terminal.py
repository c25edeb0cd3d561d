"""Runs a command on a terminal of its own, 80 columns wide, and ends as the command ended.

    with-terminal.py [--type AFTER TEXT]... -- COMMAND...

Types TEXT once AFTER has appeared in the output, in the order given. Node has no way to open a terminal.
"""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios

arguments = sys.argv[1:]
keys = []
while arguments[0] == "--type":
    keys.append((arguments[1].encode(), arguments[2].encode()))
    arguments = arguments[3:]
command = arguments[1:]

pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp(command[0], command)

pending = b""
while True:
    try:
        output = os.read(terminal, 65536)
    except OSError:  # how Linux says that the other end has been closed
        break
    if not output:
        break
    os.write(1, output)
    pending += output
    while keys and keys[0][0] in pending:
        after, text = keys.pop(0)
        pending = pending[pending.index(after) + len(after) :]
        os.write(terminal, text)

status = os.waitpid(pid, 0)[1]
if os.WIFSIGNALED(status):
    signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
    os.kill(os.getpid(), os.WTERMSIG(status))
sys.exit(os.WEXITSTATUS(status))
