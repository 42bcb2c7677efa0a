# From shop.proto.
from collections.abc import Iterator
import shop_pb2


class Shop:
    # Sells things.
    # acme.owner (50003) = Bytes([117, 115])
    # acme.share (50004) = Float(0.5)
    NAME = "shop.v1.Shop"

    def Pay(self, request: shop_pb2.Cart.Item) -> shop_pb2.Cart:
        # Pays, once.
        # acme.audit (50001) = Message([("level", Enum { name: Some("HIGH"), number: 1 }), ("tags", List([String("a"), String("b")])), ("costs", Map([(String("x"), Uint(7))])), ("inner", Message([]))])
        # acme.codes (50002) = List([Int(-1), Int(2)])
        # line 12, column 3
        return self.unary("shop.v1.Shop/Pay", idempotent=True, timeout_ms=500, retry_attempts=3, blocking=True, detach=True)

    def Plain(self, request: shop_pb2.Cart) -> shop_pb2.Cart:
        # As it is.
        # line 19, column 3
        return self.unary("shop.v1.Shop/Plain")
