"""A notification server of the session's bus that writes down what it is told: "ready", then one line a notification."""

from gi.repository import Gio, GLib

INTERFACE = """<node><interface name="org.freedesktop.Notifications">
<method name="Notify"><arg type="s"/><arg type="u"/><arg type="s"/><arg type="s"/><arg type="s"/><arg type="as"/>
<arg type="a{sv}"/><arg type="i"/><arg direction="out" type="u"/></method>
<method name="CloseNotification"><arg type="u"/></method>
<method name="GetCapabilities"><arg direction="out" type="as"/></method>
<method name="GetServerInformation"><arg direction="out" type="s"/><arg direction="out" type="s"/>
<arg direction="out" type="s"/><arg direction="out" type="s"/></method>
</interface></node>"""
shown = 0


def call(_bus, _sender, _path, _interface, method, arguments, invocation):
    global shown
    if method == "Notify":
        shown += 1
        print(f"{arguments[3]}: {arguments[4]}", flush=True)
        answer = GLib.Variant("(u)", (arguments[1] or shown,))
    elif method == "GetCapabilities":
        answer = GLib.Variant("(as)", (["body"],))
    elif method == "GetServerInformation":
        answer = GLib.Variant("(ssss)", ("paper", "wakeful", "1", "1.2"))
    else:
        answer = None
    invocation.return_value(answer)


def acquired(bus, _name):
    bus.register_object("/org/freedesktop/Notifications", Gio.DBusNodeInfo.new_for_xml(INTERFACE).interfaces[0], call)


Gio.bus_own_name(
    Gio.BusType.SESSION, "org.freedesktop.Notifications", Gio.BusNameOwnerFlags.NONE,
    acquired, lambda *_: print("ready", flush=True), None)
GLib.MainLoop().run()
