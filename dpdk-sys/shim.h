/*
 * Callable forms of what DPDK only has as static inline functions or per-thread macros.
 * Only what is called once a burst is here: fields of a frame's mbuf are read in Rust.
 */
#ifndef WEIR_SHIM_H
#define WEIR_SHIM_H

#include <stdint.h>

struct rte_hash;
struct rte_mbuf;
struct rte_mempool;

uint16_t weir_eth_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count);
uint16_t weir_eth_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **frames, uint16_t count);
int weir_pktmbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **frames, unsigned int count);
struct rte_hash *weir_hash_create(const char *name, uint32_t entries, uint32_t key_len, int socket);
int weir_errno(void);
uint64_t weir_tsc_cycles(void);

#endif
