"""Runs a command in a pseudo-terminal: pseudo-terminal.py ROWS COLUMNS COMMAND...

Standard input takes one JSON object a line: {"keys": text}, {"size": [rows, columns]}, {"signal": number}.
Standard output gets what the command writes. The last line of standard error is JSON: the exit code (below 0: the
signal), and whether the terminal echoes and edits lines again.
"""

import fcntl, json, os, pty, select, signal, struct, subprocess, sys, termios


def resize(rows, columns):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def take_terminal():
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


master, slave = pty.openpty()
resize(int(sys.argv[1]), int(sys.argv[2]))
child = subprocess.Popen(
    sys.argv[3:], stdin=slave, stdout=slave, stderr=slave, preexec_fn=take_terminal, pass_fds=[slave]
)
commands = b""
inputs = [master, 0]
while True:
    ready, _, _ = select.select(inputs, [], [], 0.05)
    if master in ready:
        os.write(1, os.read(master, 65536))
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            inputs.remove(0)
        commands += data
        while b"\n" in commands:
            line, commands = commands.split(b"\n", 1)
            command = json.loads(line)
            if "keys" in command:
                os.write(master, command["keys"].encode())
            if "size" in command:
                resize(*command["size"])
                os.killpg(child.pid, signal.SIGWINCH)
            if "signal" in command:
                os.kill(child.pid, command["signal"])
    if not ready and child.poll() is not None:
        break
flags = termios.tcgetattr(slave)[3]
is_cooked = bool(flags & termios.ECHO) and bool(flags & termios.ICANON)
sys.stderr.write(json.dumps({"code": child.returncode, "isCooked": is_cooked}) + "\n")
