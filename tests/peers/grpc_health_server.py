"""A gRPC server with the health service of grpcio-health-checking. Prints its port, then each check; each line on standard input is
[service, status], which it serves from then on."""

import json
import sys
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


class Told(health.HealthServicer):
    def Check(self, request, context):
        print(json.dumps({"checked": request.service}), flush=True)
        return super().Check(request, context)


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    servicer = Told()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    for line in sys.stdin:
        service, status = json.loads(line)
        servicer.set(service, health_pb2.HealthCheckResponse.ServingStatus.Value(status))
        print(json.dumps({"set": [service, status]}), flush=True)


if __name__ == "__main__":
    main()
