"""A collector of spans that reads them with OpenTelemetry's own messages.

Its arguments say how it answers request after request, the last one ever after: a status, a status with the seconds
of Retry-After (503:1), a number of spans that it throws away (partial:2), or nothing at all (hang). It prints its
port, and then each request in a line of JSON.
"""

import gzip
import http.server
import itertools
import json
import sys
import threading

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

answers = itertools.chain(sys.argv[1:], itertools.repeat(sys.argv[-1]))


def attributes(pairs):
    assert all(pair.value.WhichOneof("value") == "string_value" for pair in pairs), pairs
    return [[pair.key, pair.value.string_value] for pair in pairs]


def spans(body):
    request = service.ExportTraceServiceRequest()
    request.ParseFromString(body)
    # The messages know every field.
    assert not UnknownFieldSet(request)
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                assert not any(map(UnknownFieldSet, (resource, resource.resource, scope, scope.scope, span)))
                yield {
                    "resource": dict(attributes(resource.resource.attributes)),
                    "scope": [scope.scope.name, scope.scope.version],
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": trace.Span.SpanKind.Name(span.kind),
                    "start": str(span.start_time_unix_nano),
                    "end": str(span.end_time_unix_nano),
                    "flags": span.flags,
                    "attributes": attributes(span.attributes),
                }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        answer = next(answers)
        found = {"path": self.path, "headers": headers, "answer": answer, "spans": list(spans(body))}
        print(json.dumps(found), flush=True)
        if answer == "hang":
            threading.Event().wait()
        self.answer(*(answer.split(":") + [None])[:2])

    def answer(self, what, number):
        response = service.ExportTraceServiceResponse()
        if what == "partial":
            response.partial_success.rejected_spans = int(number)
            response.partial_success.error_message = "too old"
        body = response.SerializeToString()
        self.send_response(200 if what == "partial" else int(what))
        if what != "partial" and number is not None:
            self.send_header("Retry-After", number)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
server.serve_forever()
