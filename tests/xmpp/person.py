"""The other person: one slixmpp session on plain TCP, driven by JSON lines on standard input.

    person.py JID HOST PORT FLAVOUR      (the password comes as the first line: {"password": ...})

Every command is answered by one line with "kind": "done" (and "error" when it failed). Messages and presences
that arrive are lines with "kind": "message" and "presence".
"""

import asyncio
import json
import ssl
import sys

import slixmpp
from slixmpp.xmlstream import ET

MARKERS = "urn:xmpp:chat-markers:0"
RECEIPTS = "urn:xmpp:receipts"
STANZA_ID = "{urn:xmpp:sid:0}stanza-id"
ORIGIN_ID = "{urn:xmpp:sid:0}origin-id"


def tell(kind, **fields):
    sys.stdout.write(json.dumps({"kind": kind, **fields}) + "\n")
    sys.stdout.flush()


class Person(slixmpp.ClientXMPP):
    def __init__(self, jid, password):
        super().__init__(jid, password)
        for plugin in ("xep_0004", "xep_0030", "xep_0045", "xep_0059", "xep_0199", "xep_0280", "xep_0297", "xep_0313"):
            self.register_plugin(plugin)
        self["feature_mechanisms"].unencrypted_plain = True
        self["feature_mechanisms"].unencrypted_scram = True
        self.markers_wanted = True
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", self.on_message)
        self.add_event_handler("groupchat_message", self.on_message)
        self.add_event_handler("carbon_received", self.on_carbon)
        self.add_event_handler("carbon_sent", self.on_carbon)
        self.add_event_handler("presence", self.on_presence)
        self.add_event_handler("groupchat_presence", self.on_presence)
        # Requests are answered by the test, not by the library.
        self.roster.auto_authorize, self.roster.auto_subscribe = None, False
        self.add_event_handler("failed_all_auth", lambda _: tell("online", error="login failed"))
        self.add_event_handler("disconnected", lambda why: tell("disconnected", why=str(why)))

    async def on_start(self, _):
        self.send_presence()
        await self.get_roster()
        await self["xep_0280"].enable()
        tell("online", jid=str(self.boundjid))

    def on_message(self, message):
        tell("message", carbon=None, **self.describe(message))

    def on_carbon(self, message):
        inner = message["carbon_received"] if message.xml.find("{urn:xmpp:carbons:2}received") is not None \
            else message["carbon_sent"]
        tell("message", carbon="yes", **self.describe(inner))

    def on_presence(self, presence):
        tell("presence", **{"from": str(presence["from"]), "type": presence["type"], "xml": str(presence)})

    @staticmethod
    def describe(message):
        ids = {item.get("by"): item.get("id") for item in message.xml.findall(STANZA_ID)}
        origin = message.xml.find(ORIGIN_ID)
        return {
            "from": str(message["from"]), "to": str(message["to"]), "id": message["id"], "type": message["type"],
            "body": message["body"], "origin": None if origin is None else origin.get("id"), "stanza_ids": ids,
            "xml": str(message),
        }

    async def archive(self, room):
        """Pages through a whole archive."""
        found, after, strays = [], None, 0
        while True:
            query = self.make_iq_set()
            if room:
                query["to"] = room
            query["mam"]["queryid"] = asked = self.new_id()
            query["mam"]["rsm"]["max"] = "200"
            if after:
                query["mam"]["rsm"]["after"] = after
            page = []
            watcher = slixmpp.Callback(
                "archive page", slixmpp.MatchXPath("{jabber:client}message/{urn:xmpp:mam:2}result"), page.append)
            self.register_handler(watcher)
            answer = await query.send(timeout=60)
            self.remove_handler("archive page")
            for message in page:
                result = message["mam_result"]
                if result["queryid"] != asked:
                    strays += 1
                    continue
                inner = result["forwarded"]["stanza"]
                found.append({**self.describe(inner), "id": result["id"], "stanza": inner["id"]})
            fin = answer["mam_fin"]
            after = fin["rsm"]["last"]
            if not page or fin.xml.get("complete") == "true":
                return {"messages": found, "strays": strays}

    async def page(self, size, after):
        """Pages through the archive and throws away; how many there were."""
        count = 0

        def one(_):
            nonlocal count
            count += 1

        watcher = slixmpp.Callback("page", slixmpp.MatchXPath("{jabber:client}message/{urn:xmpp:mam:2}result"), one)
        self.register_handler(watcher)
        while True:
            query = self.make_iq_set()
            query["mam"]["queryid"] = self.new_id()
            query["mam"]["rsm"]["max"] = str(size)
            query["mam"]["rsm"]["after"] = after
            fin = (await query.send(timeout=120))["mam_fin"]
            after = fin["rsm"]["last"]
            if fin.xml.get("complete") == "true" or not after:
                self.remove_handler("page")
                return count

    async def run(self, command):
        what = command["do"]
        if what == "page":
            return {"count": await self.page(command["max"], command["after"])}
        if what in ("send", "send_many"):
            sent = self.speak(command)
            if what == "send_many":
                # The server takes stanzas in their order: when it answers, it has them all.
                await self["xep_0199"].send_ping(self.boundjid.domain, timeout=300)
            return sent
        if what == "archive":
            return await self.archive(command.get("room"))
        if what == "raw":
            self.send_raw(command["xml"])
            return {}
        if what == "iq":
            xml = ET.fromstring(command["payload"])
            iq = self.make_iq(itype=command.get("type", "set"), ito=command.get("to"))
            iq.append(xml)
            return {"xml": str(await iq.send(timeout=30))}
        if what == "mark":
            xml = f"<{command['marker']} xmlns='{MARKERS}' id='{command['id']}'/>"
            message = self.make_message(mto=command["to"], mtype=command.get("type", "chat"))
            message.append(ET.fromstring(xml))
            message.send()
            return {}
        if what == "receipt":
            message = self.make_message(mto=command["to"], mtype="chat")
            message.append(ET.fromstring(f"<received xmlns='{RECEIPTS}' id='{command['id']}'/>"))
            message.send()
            return {}
        if what == "join":
            await self["xep_0045"].join_muc_wait(command["room"], command["nick"], maxstanzas=0, timeout=30)
            return {}
        if what == "leave":
            self["xep_0045"].leave_muc(command["room"], command["nick"])
            return {}
        if what == "configure":
            form = self["xep_0004"].make_form(ftype="submit")
            form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/muc#roomconfig")
            for name, value in command.get("fields", {}).items():
                form.add_field(var=name, value=value)
            await self["xep_0045"].set_room_config(command["room"], config=form)
            return {}
        if what == "kick":
            await self["xep_0045"].set_role(command["room"], command["nick"], "none")
            return {}
        if what == "presence":
            self.send_presence(pto=command.get("to"), ptype=command.get("type"))
            return {}
        raise ValueError(f"unknown command {what}")

    def speak(self, command):
        kind = command.get("type", "chat")
        texts = [command["body"]] if command["do"] == "send" \
            else [f"{command['prefix']}{n}" for n in range(command["count"])]
        last = None
        for text in texts:
            message = self.make_message(mto=command["to"], mbody=text, mtype=kind)
            message["id"] = last = command.get("id") or self.new_id()
            for xml in command.get("extra", []):
                message.append(ET.fromstring(xml))
            message.send()
        return {"id": last}


async def main():
    jid, host, port, _flavour = sys.argv[1:5]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    password = json.loads(await reader.readline())["password"]
    person = Person(jid, password)
    person.enable_starttls = False
    person.enable_direct_tls = False
    person.enable_plaintext = True
    person.ssl_context = ssl.create_default_context()
    person.connect(host, int(port))
    while line := await reader.readline():
        try:
            tell("done", **await person.run(json.loads(line)))
        except Exception as error:  # the test decides what an error means
            tell("done", error=f"{type(error).__name__}: {error}")
    await person.disconnect(wait=1)


asyncio.run(main())
