/* Prints size and offsets as the C compiler sees them, one "name value" a line, for layout.rs. */
#include <stddef.h>
#include <stdio.h>

#include "wrapper.h"

#define SIZE(type) printf("%s %zu\n", #type, sizeof(struct type))
#define OFFSET(type, field) printf("%s.%s %zu\n", #type, #field, offsetof(struct type, field))
#define VALUE(name, value) printf("%s %llu\n", #name, (unsigned long long)(value))

int main(void)
{
	SIZE(rte_mbuf);
	OFFSET(rte_mbuf, buf_addr);
	OFFSET(rte_mbuf, data_off);
	OFFSET(rte_mbuf, refcnt);
	OFFSET(rte_mbuf, nb_segs);
	OFFSET(rte_mbuf, port);
	OFFSET(rte_mbuf, ol_flags);
	OFFSET(rte_mbuf, pkt_len);
	OFFSET(rte_mbuf, data_len);
	OFFSET(rte_mbuf, buf_len);
	OFFSET(rte_mbuf, pool);
	OFFSET(rte_mbuf, dynfield1);

	SIZE(rte_eth_dev_info);
	OFFSET(rte_eth_dev_info, device);
	OFFSET(rte_eth_dev_info, driver_name);
	OFFSET(rte_eth_dev_info, min_mtu);
	OFFSET(rte_eth_dev_info, max_mtu);
	OFFSET(rte_eth_dev_info, max_rx_pktlen);
	OFFSET(rte_eth_dev_info, max_rx_queues);
	OFFSET(rte_eth_dev_info, max_tx_queues);
	OFFSET(rte_eth_dev_info, rx_offload_capa);
	OFFSET(rte_eth_dev_info, reta_size);
	OFFSET(rte_eth_dev_info, hash_key_size);
	OFFSET(rte_eth_dev_info, flow_type_rss_offloads);

	SIZE(rte_eth_conf);
	OFFSET(rte_eth_conf, rxmode);
	OFFSET(rte_eth_conf, rx_adv_conf);
	SIZE(rte_eth_rxmode);
	OFFSET(rte_eth_rxmode, mtu);
	OFFSET(rte_eth_rxmode, offloads);
	SIZE(rte_eth_rss_conf);
	SIZE(rte_eth_rss_reta_entry64);
	SIZE(rte_eth_stats);
	OFFSET(rte_eth_stats, rx_nombuf);
	SIZE(rte_eth_link);
	SIZE(rte_eth_xstat);
	SIZE(rte_eth_xstat_name);
	SIZE(rte_ether_addr);

	VALUE(WEIR_RX_IP_CKSUM_MASK, RTE_MBUF_F_RX_IP_CKSUM_MASK);
	VALUE(WEIR_RX_L4_CKSUM_GOOD, RTE_MBUF_F_RX_L4_CKSUM_GOOD);
	VALUE(WEIR_MBUF_LAST_FREE, RTE_MBUF_F_LAST_FREE);
	VALUE(WEIR_RX_OFFLOAD_SCTP_CKSUM, RTE_ETH_RX_OFFLOAD_SCTP_CKSUM);
	VALUE(WEIR_RSS_IP, RTE_ETH_RSS_IP);
	return 0;
}
