"""A chat app as the tests need one: shows the conversation that it is asked for, and writes down what it was asked.

chat.py --gapplication-service   started by the bus; chat.py CONVERSATION   started by a command
CHAT_LOG names the file: one line a request, `how what token`, written once the window is on screen.
"""

import os
import sys

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gio, GLib, Gtk  # noqa: E402


class Chat(Gtk.Application):
    def __init__(self):
        flags = Gio.ApplicationFlags.HANDLES_OPEN | Gio.ApplicationFlags.HANDLES_COMMAND_LINE
        super().__init__(application_id="org.example.Chat", flags=flags)
        self.token = os.environ.get("XDG_ACTIVATION_TOKEN", "-")
        action = Gio.SimpleAction.new("show-conversation", GLib.VariantType("s"))
        action.connect("activate", lambda _, parameter: self.show("action", parameter.get_string()))
        self.add_action(action)

    def do_before_emit(self, platform_data):
        data = platform_data.unpack()
        self.token = data.get("activation-token", self.token)
        Gtk.Application.do_before_emit(self, platform_data)

    def do_activate(self):
        self.show("front", "-")

    def do_open(self, files, _count, _hint):
        self.show("uri", files[0].get_uri())

    def do_command_line(self, line):
        arguments = line.get_arguments()[1:]
        self.show("command", arguments[0] if arguments else "-")
        return 0

    def show(self, how, what):
        window = Gtk.ApplicationWindow(application=self, title=f"Chat {what}", default_width=300, default_height=200)
        window.add(Gtk.Label(label=what, wrap=True))
        window.connect("map-event", self.written, f"{how} {what} {self.token}\n")
        window.show_all()
        window.present()

    def written(self, _window, _event, text):
        with open(os.environ["CHAT_LOG"], "a", encoding="utf-8") as log:
            log.write(text)


sys.exit(Chat().run(sys.argv))
