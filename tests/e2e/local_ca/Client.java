import java.io.FileInputStream;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Trusts the root in a file, and says of each name whether it accepts what is shown for it at a port of this machine. */
class Client {
    public static void main(String[] words) throws Exception {
        var roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        try (var file = new FileInputStream(words[0])) {
            var root = CertificateFactory.getInstance("X.509").generateCertificate(file);
            roots.setCertificateEntry("root", root);
        }
        var trusting = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trusting.init(roots);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trusting.getTrustManagers(), null);
        var port = Integer.parseInt(words[1]);
        for (int at = 2; at < words.length; at++) {
            System.out.println(words[at] + " " + judged(context, port, words[at]));
        }
    }

    static String judged(SSLContext context, int port, String name) throws Exception {
        try (var plain = new Socket("127.0.0.1", port);
                var socket = (SSLSocket) context.getSocketFactory().createSocket(plain, name, port, true)) {
            var parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            socket.setSoTimeout(20_000);
            socket.startHandshake();
            return "accepted";
        } catch (SSLException refused) {
            return "refused: " + refused.getMessage();
        }
    }
}
