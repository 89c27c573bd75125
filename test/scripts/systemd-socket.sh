#!/bin/bash
# Sockets that a service manager has opened reach the command, under the numbers and with the pid that it expects.
. "$(dirname "$0")/common.sh"

for count in 1 2 3; do
  listen=()
  for ((i = 0; i < count; i++)); do listen+=("--listen=$directory/socket$count$i"); done
  cat > "$directory/look" <<'END'
#!/bin/sh
{
  echo "$LISTEN_FDS"
  [ "$LISTEN_PID" = $$ ] && echo mine
  for fd in 3 4 5; do readlink /proc/self/fd/$fd | grep -o socket; done
} > "$1.new"
mv "$1.new" "$1"
END
  chmod +x "$directory/look"
  systemd-socket-activate "${listen[@]}" $ROOTLESSKIT --net=slirp4netns --disable-host-loopback "$directory/look" "$directory/seen$count" \
    >/dev/null 2>&1 &
  started $!
  eventually test -S "$directory/socket${count}0"
  # Connecting starts it.
  (socat -T1 - "UNIX-CONNECT:$directory/socket${count}0" </dev/null >/dev/null 2>&1) || true
  eventually test -e "$directory/seen$count" || true
  expected=$(printf '%s\nmine\n' $count; for ((i = 0; i < count; i++)); do echo socket; done)
  check "$count sockets" equal "$(cat "$directory/seen$count" 2>/dev/null)" "$expected"
done
