# From mdp/testing/v1/testing.proto.
from collections.abc import Iterator
import mdp.testing.v1.testing_pb2


class Test:
    NAME = "mdp.testing.v1.Test"

    def EmptyCall(self, request: mdp.testing.v1.testing_pb2.Empty) -> mdp.testing.v1.testing_pb2.Empty:
        # Nothing for nothing.
        # line 7, column 3
        return self.unary("mdp.testing.v1.Test/EmptyCall")

    def UnaryCall(self, request: mdp.testing.v1.testing_pb2.SimpleRequest) -> mdp.testing.v1.testing_pb2.SimpleResponse:
        # A payload for a payload, or the status that the request asks for.
        # line 9, column 3
        return self.unary("mdp.testing.v1.Test/UnaryCall")

    def Sleep(self, request: mdp.testing.v1.testing_pb2.SleepRequest) -> mdp.testing.v1.testing_pb2.Empty:
        # Waits as long as the request says.
        # line 11, column 3
        return self.unary("mdp.testing.v1.Test/Sleep")

    def SleepAgain(self, request: mdp.testing.v1.testing_pb2.SleepRequest) -> mdp.testing.v1.testing_pb2.SleepResponse:
        # As Sleep, and may be run more than once.
        # line 13, column 3
        return self.unary("mdp.testing.v1.Test/SleepAgain", idempotent=True)

    def Later(self, request: mdp.testing.v1.testing_pb2.Empty) -> mdp.testing.v1.testing_pb2.Empty:
        # Answered after the handler has returned.
        # line 15, column 3
        return self.unary("mdp.testing.v1.Test/Later")

    def StreamingInputCall(self, requests: Iterator[mdp.testing.v1.testing_pb2.StreamingInputCallRequest]) -> mdp.testing.v1.testing_pb2.StreamingInputCallResponse:
        # The sizes of all payloads together.
        # line 17, column 3
        return self.client_streaming("mdp.testing.v1.Test/StreamingInputCall")

    def StreamingOutputCall(self, request: mdp.testing.v1.testing_pb2.StreamingOutputCallRequest) -> Iterator[mdp.testing.v1.testing_pb2.StreamingOutputCallResponse]:
        # A reply for each of the parameters.
        # line 19, column 3
        return self.server_streaming("mdp.testing.v1.Test/StreamingOutputCall")

    def FullDuplexCall(self, requests: Iterator[mdp.testing.v1.testing_pb2.StreamingOutputCallRequest]) -> Iterator[mdp.testing.v1.testing_pb2.StreamingOutputCallResponse]:
        # The same for each request as it comes, or the status that it asks for.
        # line 21, column 3
        return self.bidi_streaming("mdp.testing.v1.Test/FullDuplexCall")


class Unimplemented:
    # Nobody serves it.
    NAME = "mdp.testing.v1.Unimplemented"

    def UnimplementedCall(self, request: mdp.testing.v1.testing_pb2.Empty) -> mdp.testing.v1.testing_pb2.Empty:
        # line 26, column 3
        return self.unary("mdp.testing.v1.Unimplemented/UnimplementedCall")
