# From auth.proto.
from collections.abc import Iterator
import auth_pb2


class Auth:
    # Knows who is who.
    NAME = "auth.Auth"

    def Login(self, request: auth_pb2.LoginRequest) -> auth_pb2.LoginReply:
        # Checks a password and gives a session.
        # line 24, column 3
        return self.unary("auth.Auth/Login")

    def WhoAmI(self, request: auth_pb2.WhoAmIRequest) -> auth_pb2.Account:
        # line 25, column 3
        return self.unary("auth.Auth/WhoAmI", no_side_effects=True)


# From comments.proto.
from collections.abc import Iterator
import comments_pb2


class Comments:
    # A service
    # in a block. See https://example.org.
    NAME = "comments.Comments"

    def Code(self, request: comments_pb2.Text) -> comments_pb2.Text:
        # ```
        # assert!(false);
        # ```
        #
        # Behind a [method].
        # line 21, column 3
        return self.unary("comments.Comments/Code")

    def Bare(self, request: comments_pb2.Text) -> comments_pb2.Text:
        # line 23, column 3
        return self.unary("comments.Comments/Bare")


# From options.proto.
from collections.abc import Iterator
import options_pb2


class Options:
    NAME = "options.Options"

    def Unknown(self, request: options_pb2.Nothing) -> options_pb2.Nothing:
        # line 8, column 3
        return self.unary("options.Options/Unknown")

    def Reads(self, request: options_pb2.Nothing) -> options_pb2.Nothing:
        # line 9, column 3
        return self.unary("options.Options/Reads", no_side_effects=True)

    def Repeats(self, request: options_pb2.Nothing) -> options_pb2.Nothing:
        # line 10, column 3
        return self.unary("options.Options/Repeats", idempotent=True)

    def Gone(self, request: options_pb2.Nothing) -> options_pb2.Nothing:
        # Deprecated.
        # line 11, column 3
        return self.unary("options.Options/Gone")


class Outdated:
    # Deprecated.
    NAME = "options.Outdated"

    def Do(self, request: options_pb2.Nothing) -> options_pb2.Nothing:
        # line 16, column 3
        return self.unary("options.Outdated/Do")


# From streams.proto.
from collections.abc import Iterator
import streams_pb2


class Files:
    # Each kind of method once, and what can be said about one.
    NAME = "streams.Files"

    def Stat(self, request: streams_pb2.Summary) -> streams_pb2.Summary:
        # line 15, column 3
        return self.unary("streams.Files/Stat")

    def Get(self, request: streams_pb2.Summary) -> Iterator[streams_pb2.Chunk]:
        # Gives a file piece by piece.
        # line 17, column 3
        return self.server_streaming("streams.Files/Get", no_side_effects=True)

    def Put(self, requests: Iterator[streams_pb2.Chunk]) -> streams_pb2.Summary:
        # Takes a file piece by piece.
        # Deprecated.
        # line 19, column 3
        return self.client_streaming("streams.Files/Put")

    def Both(self, requests: Iterator[streams_pb2.Chunk]) -> Iterator[streams_pb2.Summary]:
        # line 20, column 3
        return self.bidi_streaming("streams.Files/Both", idempotent=True)
