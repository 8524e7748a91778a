"""Sends a task (see `Task`) with aioapns and prints what came of it (see `Done`)."""

import asyncio
import json
import ssl
import sys
import time
from collections import Counter

from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol
from h2.events import ResponseReceived

with open(sys.argv[1]) as file:
    task = json.load(file)

APNsProductionClientProtocol.APNS_SERVER = task["host"]
APNsProductionClientProtocol.APNS_PORT = task["port"]


class Protocol(APNsProductionClientProtocol):
    """It knows a request by the apns-id of its answer. A sink that answers everything alike sends none, so it is put in
    from the stream's number."""

    def connection_made(self, transport):
        receive = self.conn.receive_data

        def with_ids(data):
            events = receive(data)
            for event in events:
                if isinstance(event, ResponseReceived) and "apns-id" not in dict(event.headers):
                    number = self.request_streams.pop(event.stream_id, "")
                    event.headers = [(b":status", dict(event.headers)[b":status"]), (b"apns-id", number.encode())]
            return events

        self.conn.receive_data = with_ids
        super().connection_made(transport)


async def main():
    context = ssl.create_default_context(cafile=task["ca_file"])
    context.set_alpn_protocols(["h2"])
    with open(task["key_file"]) as key:
        client = APNs(
            key=key.read(),
            key_id=task["key_id"],
            team_id=task["team_id"],
            topic=task["topic"],
            max_connections=task["connections"],
            ssl_context=context,
        )
    client.pool.protocol_class = Protocol
    message = json.loads(task["body"])
    tokens = task["tokens"]
    outcomes = Counter()
    numbers = iter(range(task["warm_up"] + task["requests"]))

    async def work(end):
        while True:
            number = next(numbers, None) if end[0] > 0 else None
            if number is None:
                return
            end[0] -= 1
            request = NotificationRequest(
                device_token=tokens[number % len(tokens)],
                message=message,
                notification_id=f"0193a5e0-7c1f-8a3b-9d42-{number:012x}",
                time_to_live=3600,
                priority=10,
                push_type=PushType.ALERT,
            )
            response = await client.send_notification(request)
            outcomes["delivered" if response.is_successful else "failed"] += 1

    async def send(count):
        end = [count]
        await asyncio.gather(*(work(end) for _ in range(task["connections"] * task["streams"])))

    await send(task["warm_up"])
    cpu, wall = time.process_time_ns(), time.monotonic_ns()
    await send(task["requests"])
    cpu, wall = time.process_time_ns() - cpu, time.monotonic_ns() - wall
    print(json.dumps({"cpu_micros": cpu // 1000, "wall_micros": wall // 1000, "outcomes": outcomes}))


asyncio.run(main())
