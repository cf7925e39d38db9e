"""TPUKernel functions: messages between engines and cores, of which the BM1684X has none."""

from __future__ import annotations

from tpukernel.api.function import host_function, missing
from tpukernel.chips.bm1684x import BM1684X

__all__ = [
    "tpu_bdc_send_msg",
    "tpu_bdc_set_base_msg_id",
    "tpu_bdc_wait_msg",
    "tpu_cdma_send_msg",
    "tpu_cdma_set_base_msg_id",
    "tpu_cdma_wait_msg",
    "tpu_core_index",
    "tpu_core_num",
    "tpu_gdma_send_msg",
    "tpu_gdma_set_base_msg_id",
    "tpu_gdma_wait_msg",
    "tpu_hau_send_msg",
    "tpu_hau_set_base_msg_id",
    "tpu_hau_wait_msg",
    "tpu_sdma_send_msg",
    "tpu_sdma_set_base_msg_id",
    "tpu_sdma_wait_msg",
    "tpu_sync_all",
    "tpu_sync_core",
]

GROUP = "Synchronization functions"
NO_MESSAGES = "its engines wait for command numbers and know no messages (the official library stops with 'not implemented')"
NO_MESSAGE_IDS = "its engines know no messages (the official library does not have the function)"
ONE_CORE = "it has one core and nothing to synchronize it with (the official library stops with 'not implemented')"

tpu_bdc_send_msg = missing("tpu_bdc_send_msg", GROUP, NO_MESSAGES)
tpu_bdc_wait_msg = missing("tpu_bdc_wait_msg", GROUP, NO_MESSAGES)
tpu_gdma_send_msg = missing("tpu_gdma_send_msg", GROUP, NO_MESSAGES)
tpu_gdma_wait_msg = missing("tpu_gdma_wait_msg", GROUP, NO_MESSAGES)
tpu_hau_send_msg = missing("tpu_hau_send_msg", GROUP, NO_MESSAGES)
tpu_hau_wait_msg = missing("tpu_hau_wait_msg", GROUP, NO_MESSAGES)
tpu_bdc_set_base_msg_id = missing("tpu_bdc_set_base_msg_id", GROUP, NO_MESSAGE_IDS)
tpu_gdma_set_base_msg_id = missing("tpu_gdma_set_base_msg_id", GROUP, NO_MESSAGE_IDS)
tpu_hau_set_base_msg_id = missing("tpu_hau_set_base_msg_id", GROUP, NO_MESSAGE_IDS)
tpu_sdma_send_msg = missing("tpu_sdma_send_msg", GROUP, NO_MESSAGES)
tpu_sdma_wait_msg = missing("tpu_sdma_wait_msg", GROUP, NO_MESSAGES)
tpu_sdma_set_base_msg_id = missing("tpu_sdma_set_base_msg_id", GROUP, NO_MESSAGE_IDS)
tpu_cdma_send_msg = missing("tpu_cdma_send_msg", GROUP, NO_MESSAGES)
tpu_cdma_wait_msg = missing("tpu_cdma_wait_msg", GROUP, NO_MESSAGES)
tpu_cdma_set_base_msg_id = missing("tpu_cdma_set_base_msg_id", GROUP, NO_MESSAGE_IDS)
tpu_sync_all = missing("tpu_sync_all", GROUP, ONE_CORE)
tpu_sync_core = missing("tpu_sync_core", GROUP, ONE_CORE)


@host_function(GROUP)
def tpu_core_num() -> int:
    """The number of cores of the chip."""
    return BM1684X.cores


@host_function(GROUP)
def tpu_core_index() -> int:
    """The core on which the kernel runs, counted from 0."""
    return 0
