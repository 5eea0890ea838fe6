"""zsh-keys.py SCRIPT LINE WORD...: types LINE and Tab into an interactive zsh and prints what it
shows until every WORD was there."""
import os, pty, select, sys, time

script, line, *awaited = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(TERM="dumb", PS1="$ ", COLUMNS="200", LINES="200", LISTMAX="1000")
    os.execvp("zsh", ["zsh", "-f", "-i"])


def read_until(marks, seconds):
    seen, end = "", time.monotonic() + seconds
    while not all(mark in seen for mark in marks) and time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            seen += os.read(fd, 65536).decode(errors="replace")
    return seen


setup = f"autoload -U compinit; compinit -u -D; source {script}; setopt no_list_beep list_rows_first; echo re''ady"
os.write(fd, setup.encode() + b"\r")
read_until(["ready\r\n"], 30)
# the second Tab shows the list when the first one only completes what all have in common
os.write(fd, line.encode() + b"\t\t")
seen = read_until(awaited, 20)
os.write(fd, b"\x15exit\r")
print(seen)
