"""SSH channels that say nothing more once they are closed."""

from __future__ import annotations

import paramiko
from paramiko.common import cMSG_CHANNEL_WINDOW_ADJUST


class OrderedChannel(paramiko.Channel):  # type: ignore[misc]
    """A channel whose every message is sent under the lock that it was decided under.

    Paramiko writes a message under the lock and sends it afterwards. When the other side closes
    the channel in between, as it does after every short command, the message follows our own
    close, and OpenSSH cuts the whole connection with all commands in it: "packet referred to
    nonexistent channel". Ref.: paramiko issues 1115, 1584, 1705.

    Paramiko does so lest a sender that waits for new keys stops the thread that fetches them. That
    thread needs no channel while the server asks for new keys; we ourselves never ask for them.
    """

    in_window_sofar: int
    is_cut = False
    """Whether it ended with its connection, and not by a word of the other side."""

    def _unlink(self) -> None:
        """Note it before anybody who waits is woken: the connection counts as living till after."""
        self.is_cut = self.is_cut or not self.closed
        super()._unlink()

    def shutdown(self, how: int) -> None:
        """Close one or both directions, as of a socket."""
        if how in (0, 2):
            self.eof_received = True
        if how in (1, 2):
            with self.lock:
                end = None if self.closed else self._send_eof()
                if end is not None:
                    self.transport._send_user_message(end)

    def _send(self, data: bytes, message: paramiko.Message) -> int:
        with self.lock:
            if self.closed:
                raise OSError("Socket is closed")
            size = int(self._wait_for_send_window(len(data)))
            if size:
                message.add_string(data[:size])
                self.transport._send_user_message(message)
            return size

    def _check_add_window(self, size: int) -> int:
        """Tell the other side itself that it may send more; nothing is left to be told then."""
        with self.lock:
            if self.closed or self.eof_received or not self.active:
                return 0
            self.in_window_sofar += size
            if self.in_window_sofar > self.in_window_threshold:
                message = paramiko.Message()
                message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
                message.add_int(self.remote_chanid)
                message.add_int(self.in_window_sofar)
                self.in_window_sofar = 0
                self.transport._send_user_message(message)
        return 0


class OrderedTransport(paramiko.Transport):  # type: ignore[misc]
    """A connection whose channels are ordered ones."""

    def open_channel(self, *positional: object, **named: object) -> paramiko.Channel:
        """Open a channel; Transport makes its own kind, so it is told which kind it is."""
        channel = super().open_channel(*positional, **named)
        channel.__class__ = OrderedChannel
        return channel
